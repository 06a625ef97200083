"""Universal inverted bottleneck."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import ConvNorm, Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.layer_scale import LayerScale
from edgewise.blocks.squeeze_excite import SE, make_se
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
        act: str = "relu",
        se: SE | None = None,
        skip: bool = True,
        *,
        conv: Conv | None = None,
        norm: Norm | None = None,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
        downsample: str = "stride",
    ) -> None:
        super().__init__()
        mid_chs = make_divisible(in_chs * expand_ratio)
        make = partial(ConvNorm, conv=conv, norm=norm)
        start_stride = stride if mid_kernel is None else 1
        self.dw_start = (
            make(in_chs, in_chs, start_kernel, start_stride, groups=in_chs, downsample=downsample)
            if start_kernel
            else nn.Identity()
        )
        self.pw_exp = make(in_chs, mid_chs, act=act)
        self.se_expand = make_se(se, "expand", mid_chs)
        self.dw_mid = (
            make(mid_chs, mid_chs, mid_kernel, stride, groups=mid_chs, act=act, downsample=downsample)
            if mid_kernel
            else nn.Identity()
        )
        self.se = make_se(se, "mid", mid_chs)
        self.pw_proj = make(mid_chs, out_chs)
        self.layer_scale = LayerScale(out_chs, layer_scale_init) if layer_scale_init else nn.Identity()
        self.se_out = make_se(se, "out", out_chs)
        self.has_skip = skip and stride == 1 and in_chs == out_chs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.se(self.dw_mid(self.se_expand(self.pw_exp(self.dw_start(x)))))
        out = self.se_out(self.layer_scale(self.pw_proj(out)))
        return self.drop_path(out).add_(x) if self.has_skip else out
