"""Depthwise-separable convolution."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.pooling import conv_stride, make_pool
from edgewise.blocks.squeeze_excite import SE, make_se


class DepthwiseSeparable(nn.Module):
    """Depthwise k x k, norm, activation, 1x1, norm, activation if ``pw_act``; residual where the shapes allow it and ``skip``.

    (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride). Source: MobileNetV1, arXiv 1704.04861, section 3.1; without activation
    behind the 1x1 it is the first block of MobileNetV2 and V3. State-dict keys as in timm.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 3,
        stride: int = 1,
        pw_act: bool = False,
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
        self.conv_dw = conv(in_chs, in_chs, kernel, conv_stride(downsample, stride), groups=in_chs)
        self.bn1 = norm(in_chs)
        self.act1 = make_act(act, in_chs)
        self.aa = make_pool(downsample, in_chs, stride)
        self.se = make_se(se, "mid", in_chs)
        self.conv_pw = conv(in_chs, out_chs)
        self.bn2 = norm(out_chs)
        self.act2 = make_act(act if pw_act else None, out_chs)
        self.se_out = make_se(se, "out", out_chs)
        self.has_skip = skip and stride == 1 and in_chs == out_chs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.se(self.aa(self.act1(self.bn1(self.conv_dw(x)))))
        out = self.se_out(self.act2(self.bn2(self.conv_pw(out))))
        return x + self.drop_path(out) if self.has_skip else out
