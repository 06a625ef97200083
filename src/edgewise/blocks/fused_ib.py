"""Fused inverted bottleneck."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.pooling import conv_stride, make_pool
from edgewise.blocks.squeeze_excite import SE, make_se
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
        act: str = "relu",
        se: SE | None = None,
        skip: bool = True,
        *,
        conv: Conv | None = None,
        norm: Norm | None = None,
        drop_path: float = 0.0,
        downsample: str = "stride",
    ) -> None:
        super().__init__()
        conv, norm = conv or Conv(), norm or Norm()
        mid_chs = make_divisible(in_chs * expand_ratio)
        self.conv_exp = conv(in_chs, mid_chs, kernel, conv_stride(downsample, stride))
        self.bn1 = norm(mid_chs)
        self.act = make_act(act, mid_chs)
        self.aa = make_pool(downsample, mid_chs, stride)
        self.se = make_se(se, "mid", mid_chs)
        self.conv_pwl = conv(mid_chs, out_chs)
        self.bn2 = norm(out_chs)
        self.se_out = make_se(se, "out", out_chs)
        self.has_skip = skip and stride == 1 and in_chs == out_chs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.se(self.aa(self.act(self.bn1(self.conv_exp(x)))))
        out = self.se_out(self.bn2(self.conv_pwl(out)))
        return self.drop_path(out).add_(x) if self.has_skip else out
