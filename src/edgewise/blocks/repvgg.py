"""RepVGG's unit."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.fold import conv_weights, identity_weights
from edgewise.blocks.reparam import ConvBN, ReparamUnit, reparam_unit
from edgewise.blocks.squeeze_excite import SE, make_se_module


class RepVGG(nn.Module):
    """3x3 branch, 1x1 branch and, where the shapes allow it and ``skip``, a batch norm alone; summed; activation.

    (N, in_chs, H, W) to (N, out_chs, ceil(H/stride), ceil(W/stride)). Squeeze-and-excitation acts on the sum. Stochastic depth,
    which the paper does not have, drops both convolutions beside the batch norm, as in timm. State-dict keys as in timm.
    Source: RepVGG, arXiv 2101.03697, section 3; squeeze-and-excitation: the released code's D2se.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        stride: int = 1,
        groups: int = 1,
        act: str = "relu",
        se: SE | None = None,
        skip: bool = True,
        *,
        dilation: int = 1,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        norm = norm or Norm()
        self.conv_kxk = ConvBN(in_chs, out_chs, 3, stride, groups=groups, dilation=dilation, norm=norm)
        self.conv_1x1 = ConvBN(in_chs, out_chs, 1, stride, groups=groups, norm=norm)
        self.identity = norm(out_chs) if skip and stride == 1 and in_chs == out_chs else None
        self.drop_path = DropPath(drop_path)
        self.attn = make_se_module(se, out_chs) if se else None
        self.act = make_act(act, out_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ceil(H/stride), ceil(W/stride))."""
        # in place: a batch norm's gradient does not need its output
        out: torch.Tensor = self.conv_kxk(x)
        out += self.conv_1x1(x)
        if self.identity is not None:
            out = self.drop_path(out)
            out += self.identity(x)
        if self.attn is not None:
            out = self.attn(out)
        activated: torch.Tensor = self.act(out)
        return activated

    def fused(self) -> ReparamUnit:
        """Return the unit with one 3x3 convolution."""
        conv = self.conv_kxk.conv
        branches = [conv_weights(branch.conv, branch.bn) for branch in (self.conv_kxk, self.conv_1x1)]
        if self.identity is not None:
            branches.append(identity_weights(conv, self.identity))
        return reparam_unit(conv, branches, self.attn, self.act)
