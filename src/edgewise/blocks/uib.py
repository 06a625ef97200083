"""Universal inverted bottleneck."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.conv_norm import ConvNorm, Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.layer_scale import LayerScale
from edgewise.spec.scale import make_divisible


class UIB(nn.Module):
    """Optional start depthwise, 1x1 expansion, optional middle depthwise, 1x1 projection (MobileNetV4, section 3, figure 4).

    (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride). The start depthwise and the projection have no activation. The stride
    sits on the middle depthwise where there is one, else on the start depthwise. Layer scale, where asked for, also acts on
    blocks without a residual, as in the released code. State-dict keys as in timm.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        stride: int = 1,
        expand_ratio: float = 4.0,
        start_kernel: int | None = None,
        mid_kernel: int | None = 3,
        *,
        act: str = "relu",
        norm: Norm | None = None,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        mid_chs = make_divisible(in_chs * expand_ratio)
        start_stride = stride if mid_kernel is None else 1
        self.dw_start = (
            ConvNorm(in_chs, in_chs, start_kernel, start_stride, groups=in_chs, norm=norm)
            if start_kernel
            else nn.Identity()
        )
        self.pw_exp = ConvNorm(in_chs, mid_chs, act=act, norm=norm)
        self.dw_mid = (
            ConvNorm(mid_chs, mid_chs, mid_kernel, stride, groups=mid_chs, act=act, norm=norm)
            if mid_kernel
            else nn.Identity()
        )
        self.pw_proj = ConvNorm(mid_chs, out_chs, norm=norm)
        self.layer_scale = LayerScale(out_chs, layer_scale_init) if layer_scale_init else nn.Identity()
        self.has_skip = stride == 1 and in_chs == out_chs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.layer_scale(self.pw_proj(self.dw_mid(self.pw_exp(self.dw_start(x)))))
        return x + self.drop_path(out) if self.has_skip else out
