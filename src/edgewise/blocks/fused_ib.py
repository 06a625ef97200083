"""Fused inverted bottleneck."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import ACTIVATIONS
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.spec.scale import make_divisible


class FusedIB(nn.Module):
    """k x k convolution that expands and strides, norm, activation; linear 1x1, norm; residual where the shapes allow it.

    (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride). Source: MobileNetV4 Table 12; state-dict keys as in timm.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 3,
        stride: int = 1,
        expand_ratio: float = 4.0,
        *,
        act: str = "relu",
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        norm = norm or Norm()
        mid_chs = make_divisible(in_chs * expand_ratio)
        self.conv_exp = nn.Conv2d(in_chs, mid_chs, kernel, stride, kernel // 2, bias=False)
        self.bn1 = norm(mid_chs)
        self.act = ACTIVATIONS[act]()
        self.conv_pwl = nn.Conv2d(mid_chs, out_chs, 1, bias=False)
        self.bn2 = norm(out_chs)
        self.has_skip = stride == 1 and in_chs == out_chs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.bn2(self.conv_pwl(self.act(self.bn1(self.conv_exp(x)))))
        return x + self.drop_path(out) if self.has_skip else out
