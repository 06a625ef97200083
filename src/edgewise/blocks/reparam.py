"""What the re-parameterisable units share: one branch of the training form, and the form for deployment."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.fold import Weights, sum_branches, with_weights


class ConvBN(nn.Module):
    """``conv`` (no bias) and ``bn``: one branch. (N, in_chs, H, W) to (N, out_chs, ceil(H/stride), ceil(W/stride))."""

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        dilation: int = 1,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(in_chs, out_chs, kernel, stride, padding, dilation, groups, bias=False)
        self.bn = (norm or Norm())(out_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ceil(H/stride), ceil(W/stride))."""
        out: torch.Tensor = self.bn(self._convolved(x))
        return out

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        conv = self.conv
        lies_last = x.stride(1) == 1 or conv.weight.stride(2) > 1
        if not (self.training and lies_last) or conv.kernel_size != (1, 1) or conv.stride == (1, 1):
            convolved: torch.Tensor = conv(x)
            return convolved
        # oneDNN writes past its memory in the weights' gradient of a strided 1x1 convolution of few channels that lie last
        # (github.com/uxlfoundation/oneDNN/issues/6035), so what a stride passes over is left out before
        down, right = conv.stride
        return functional.conv2d(x[:, :, ::down, ::right], conv.weight, groups=conv.groups)


class ReparamUnit(nn.Module):
    """A unit's form for deployment: ``reparam_conv``, squeeze-and-excitation ``attn`` if there is one, ``act``. Keys as in timm.

    There is no path to drop in it: the branch that would be dropped and the one beside it are one convolution.
    """

    def __init__(self, conv: nn.Conv2d, attn: nn.Module | None, act: nn.Module) -> None:
        super().__init__()
        self.reparam_conv = conv
        self.attn = attn
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ceil(H/stride), ceil(W/stride))."""
        out: torch.Tensor = self.reparam_conv(x)
        if self.attn is not None:
            out = self.attn(out)
        activated: torch.Tensor = self.act(out)
        return activated


def reparam_unit(conv: nn.Conv2d, branches: Sequence[Weights], attn: nn.Module | None, act: nn.Module) -> ReparamUnit:
    """Return the unit that sums ``branches`` in one convolution like ``conv``, with copies of ``attn`` and ``act`` behind it."""
    merged = with_weights(conv, *sum_branches(branches))
    return ReparamUnit(merged, copy.deepcopy(attn), copy.deepcopy(act))
