"""MobileNetV4's universal inverted bottleneck inside Mobile-Former's bridge."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import ConvNorm, Norm
from edgewise.blocks.former import BridgedBlock
from edgewise.blocks.former_bridge import Tokens
from edgewise.blocks.former_relu import TokenReLU
from edgewise.blocks.layer_scale import LayerScale
from edgewise.blocks.pooling import conv_stride, make_pool
from edgewise.spec.scale import make_divisible


class FormerUIB(BridgedBlock):
    """`blocks.uib.UIB` between the bridges: the activations behind expansion and middle depthwise are dynamic ReLUs.

    (N, in_chs, H, W), (N, M, d) to (N, out_chs, H/stride, W/stride), (N, M, d). As in UIB, the start depthwise and the projection
    are linear and the stride sits on the middle depthwise where there is one.
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
        tokens: Tokens,
        conv: Conv | None = None,
        norm: Norm | None = None,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
        downsample: str = "stride",
    ) -> None:
        super().__init__(in_chs, out_chs, tokens, drop_path=drop_path)
        mid_chs = make_divisible(in_chs * expand_ratio)
        make = partial(ConvNorm, conv=conv, norm=norm)
        activate = partial(TokenReLU, mid_chs, tokens.token_dim, tokens.hyper_reduction)
        start_stride, mid_stride = (1, stride) if mid_kernel else (stride, 1)
        self.dw_start = (
            make(in_chs, in_chs, start_kernel, start_stride, groups=in_chs, downsample=downsample)
            if start_kernel
            else nn.Identity()
        )
        self.pw_exp = make(in_chs, mid_chs)
        self.hyper_exp = activate()
        if mid_kernel:
            self.dw_mid = make(mid_chs, mid_chs, mid_kernel, conv_stride(downsample, mid_stride), groups=mid_chs)
            self.hyper_mid = activate()
            self.aa = make_pool(downsample, mid_chs, mid_stride)
        self.pw_proj = make(mid_chs, out_chs)
        self.layer_scale = LayerScale(out_chs, layer_scale_init) if layer_scale_init else nn.Identity()
        self.has_mid = mid_kernel is not None
        self.has_skip = stride == 1 and in_chs == out_chs

    def _convolve(self, x: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.hyper_exp(self.pw_exp(self.dw_start(x)), token)
        if self.has_mid:
            out = self.aa(self.hyper_mid(self.dw_mid(out), token))
        out = self.layer_scale(self.pw_proj(out))
        return x + self.drop_path(out) if self.has_skip else out
