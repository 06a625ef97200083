"""MobileOne's unit."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.fold import conv_weights, identity_weights
from edgewise.blocks.reparam import ConvBN, ReparamUnit, reparam_unit
from edgewise.blocks.squeeze_excite import SE, make_se_module


class MobileOne(nn.Module):
    """``num_branches`` k x k branches, a 1x1 branch if k > 1, a batch norm alone where the shapes allow it; summed; activation.

    (N, in_chs, H, W) to (N, out_chs, ceil(H/stride), ceil(W/stride)); all branches are depthwise, or none is. A block of the paper
    is two units, depthwise and 1x1, and the 1x1 is activated too. Squeeze-and-excitation acts on the sum. Stochastic depth, which
    the paper does not have, drops the convolutions beside the batch norm, as in timm. State-dict keys as in timm.
    Source: MobileOne, arXiv 2206.04040, section 3.2, figure 3.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 3,
        stride: int = 1,
        depthwise: bool = False,
        num_branches: int = 1,
        act: str = "relu",
        se: SE | None = None,
        skip: bool = True,
        *,
        dilation: int = 1,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        norm, groups = norm or Norm(), in_chs if depthwise else 1
        self.conv_kxk = nn.ModuleList(
            ConvBN(in_chs, out_chs, kernel, stride, groups=groups, dilation=dilation, norm=norm)
            for _ in range(num_branches)
        )
        self.conv_scale = ConvBN(in_chs, out_chs, 1, stride, groups=groups, norm=norm) if kernel > 1 else None
        self.identity = norm(out_chs) if skip and stride == 1 and in_chs == out_chs else None
        self.drop_path = DropPath(drop_path)
        self.attn = make_se_module(se, out_chs) if se else None
        self.act = make_act(act, out_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ceil(H/stride), ceil(W/stride))."""
        # in place: a batch norm's gradient does not need its output
        out: torch.Tensor | None = None if self.conv_scale is None else self.conv_scale(x)
        for branch in self.conv_kxk:
            out = branch(x) if out is None else out.add_(branch(x))
        assert out is not None
        if self.identity is not None:
            out = self.drop_path(out)
            out += self.identity(x)
        if self.attn is not None:
            out = self.attn(out)
        activated: torch.Tensor = self.act(out)
        return activated

    def fused(self) -> ReparamUnit:
        """Return the unit with one convolution."""
        kxk = [branch for branch in self.conv_kxk if isinstance(branch, ConvBN)]
        scale = [] if self.conv_scale is None else [self.conv_scale]
        conv = kxk[0].conv
        branches = [conv_weights(branch.conv, branch.bn) for branch in (*kxk, *scale)]
        if self.identity is not None:
            branches.append(identity_weights(conv, self.identity))
        return reparam_unit(conv, branches, self.attn, self.act)
