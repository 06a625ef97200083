"""Attention over a feature map: multi-query (MQA) and multi-head (MHSA), with or without spatial reduction of keys and values.

Shape suffixes: N batch, C channels, H and W of the map, h query heads, g key and value heads, L queries (H * W), M keys,
k key width, v value width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import nn

from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.layer_scale import LayerScale


class Projection(nn.Module):
    """1x1 convolution, before it a strided depthwise with norm where the map is to be reduced. (N, C, H, W) to (N, out, H/s, W/s)."""

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        *,
        stride: int = 1,
        kernel: int = 3,
        conv: Conv | None = None,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.down_conv: nn.Module = nn.Identity()
        self.norm: nn.Module = nn.Identity()
        if stride > 1:
            self.down_conv = (conv or Conv())(in_chs, in_chs, kernel, stride, groups=in_chs)
            self.norm = (norm or Norm())(in_chs)
        self.proj = nn.Conv2d(in_chs, out_chs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.proj(self.norm(self.down_conv(x)))
        return out


class MapAttention(nn.Module):
    """Scaled dot-product attention of ``num_heads`` query heads over ``num_kv_heads`` key and value heads. (N, C, H, W) to (N, C, H, W).

    One key and value head is Shazeer's multi-query attention (2019), as many as queries are Vaswani's multi-head attention (2017).
    """

    def __init__(
        self,
        num_chs: int,
        num_heads: int,
        key_dim: int,
        value_dim: int,
        kv_stride: int = 1,
        kv_kernel: int = 3,
        *,
        num_kv_heads: int = 1,
        conv: Conv | None = None,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.num_kv_heads = num_kv_heads
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.query = Projection(num_chs, num_heads * key_dim)
        self.key = Projection(num_chs, num_kv_heads * key_dim, stride=kv_stride, kernel=kv_kernel, conv=conv, norm=norm)
        self.value = Projection(
            num_chs, num_kv_heads * value_dim, stride=kv_stride, kernel=kv_kernel, conv=conv, norm=norm
        )
        self.output = Projection(num_heads * value_dim, num_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        height, width = x.shape[-2:]
        # Channels are head-major, so these reshapes move nothing.
        q_NhLk = self.query(x).reshape(-1, self.num_heads, self.key_dim, height * width).transpose(-1, -2).contiguous()
        k_NgMk = self.key(x).unflatten(1, (self.num_kv_heads, self.key_dim)).flatten(3).transpose(-1, -2).contiguous()
        v_NgMv = (
            self.value(x).unflatten(1, (self.num_kv_heads, self.value_dim)).flatten(3).transpose(-1, -2).contiguous()
        )
        # A single key and value head is broadcast over the query heads.
        o_NhLv = F.scaled_dot_product_attention(q_NhLk, k_NgMk, v_NgMv)
        o_NCHW = o_NhLv.transpose(-1, -2).reshape(-1, self.num_heads * self.value_dim, height, width)
        out: torch.Tensor = self.output(o_NCHW)
        return out


class AttentionBlock(nn.Module, ABC):
    """Batch norm, attention, layer scale, residual around all of it. Abstract: `MQA` and `MHSA` say how many key heads there are.

    (N, in_chs, H, W) to (N, in_chs, H, W). The norm before attention is a batch norm without activation; there is no position
    encoding. State-dict keys as in timm's MobileNetV4. Source: MobileNetV4, section 4, figure 5.
    """

    def __init__(
        self,
        in_chs: int,
        num_heads: int,
        key_dim: int,
        value_dim: int,
        kv_stride: int = 1,
        kv_kernel: int = 3,
        skip: bool = True,
        *,
        conv: Conv | None = None,
        norm: Norm | None = None,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = (norm or Norm())(in_chs)
        self.attn = MapAttention(
            in_chs,
            num_heads,
            key_dim,
            value_dim,
            kv_stride,
            kv_kernel,
            num_kv_heads=self._num_kv_heads(num_heads),
            conv=conv,
            norm=norm,
        )
        self.layer_scale = LayerScale(in_chs, layer_scale_init) if layer_scale_init else nn.Identity()
        self.has_skip = skip
        self.drop_path = DropPath(drop_path)

    @staticmethod
    @abstractmethod
    def _num_kv_heads(num_heads: int) -> int:
        """Return how many key and value heads ``num_heads`` query heads share."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, in_chs, H, W)."""
        out: torch.Tensor = self.layer_scale(self.attn(self.norm(x)))
        return self.drop_path(out).add_(x) if self.has_skip else out


class MQA(AttentionBlock):
    """Mobile multi-query attention: one key head and one value head shared by all query heads (MobileNetV4, section 4)."""

    @staticmethod
    def _num_kv_heads(num_heads: int) -> int:  # noqa: ARG004
        return 1


class MHSA(AttentionBlock):
    """Multi-head self-attention in MQA's place, for comparison (MobileNetV4, Table 2): every head has its own keys and values."""

    @staticmethod
    def _num_kv_heads(num_heads: int) -> int:
        return num_heads
