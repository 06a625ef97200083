"""Mobile multi-query attention.

Shape suffixes: N batch, C channels, H and W of the map, h query heads, L queries (H * W), M keys, k key width, v value width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.layer_scale import LayerScale


class Projection(nn.Module):
    """1x1 convolution, before it a strided depthwise with norm where the map is to be reduced. (N, C, H, W) to (N, out, H/s, W/s)."""

    def __init__(
        self, in_chs: int, out_chs: int, *, stride: int = 1, kernel: int = 3, norm: Norm | None = None
    ) -> None:
        super().__init__()
        if stride > 1:
            self.down_conv: nn.Module = nn.Conv2d(
                in_chs, in_chs, kernel, stride, kernel // 2, groups=in_chs, bias=False
            )
            self.norm: nn.Module = (norm or Norm())(in_chs)
        else:
            self.down_conv = nn.Identity()
            self.norm = nn.Identity()
        self.proj = nn.Conv2d(in_chs, out_chs, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.proj(self.norm(self.down_conv(x)))
        return out


class MultiQueryAttention(nn.Module):
    """Attention with one key head and one value head shared by all query heads (Shazeer 2019). (N, C, H, W) to (N, C, H, W)."""

    def __init__(
        self,
        num_chs: int,
        num_heads: int,
        key_dim: int,
        value_dim: int,
        kv_stride: int = 1,
        kv_kernel: int = 3,
        *,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.query = Projection(num_chs, num_heads * key_dim)
        self.key = Projection(num_chs, key_dim, stride=kv_stride, kernel=kv_kernel, norm=norm)
        self.value = Projection(num_chs, value_dim, stride=kv_stride, kernel=kv_kernel, norm=norm)
        self.output = Projection(num_heads * value_dim, num_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        height, width = x.shape[-2:]
        # Query channels are head-major, so this reshape moves nothing.
        q_NhLk = self.query(x).reshape(-1, self.num_heads, self.key_dim, height * width).transpose(-1, -2).contiguous()
        k_N1Mk = self.key(x).flatten(2).transpose(-1, -2).unsqueeze(1).contiguous()
        v_N1Mv = self.value(x).flatten(2).transpose(-1, -2).unsqueeze(1).contiguous()
        # The one key head and the one value head are broadcast over the query heads.
        o_NhLv = F.scaled_dot_product_attention(q_NhLk, k_N1Mk, v_N1Mv)
        o_NCHW = o_NhLv.transpose(-1, -2).reshape(-1, self.num_heads * self.value_dim, height, width)
        out: torch.Tensor = self.output(o_NCHW)
        return out


class MQA(nn.Module):
    """Batch norm, multi-query attention, layer scale, residual around all of it (MobileNetV4, section 4, figure 5).

    (N, in_chs, H, W) to (N, in_chs, H, W). The norm before attention is a batch norm without activation; there is no position
    encoding. State-dict keys as in timm.
    """

    def __init__(
        self,
        in_chs: int,
        num_heads: int,
        key_dim: int,
        value_dim: int,
        kv_stride: int = 1,
        kv_kernel: int = 3,
        *,
        norm: Norm | None = None,
        layer_scale_init: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm = (norm or Norm())(in_chs)
        self.attn = MultiQueryAttention(in_chs, num_heads, key_dim, value_dim, kv_stride, kv_kernel, norm=norm)
        self.layer_scale = LayerScale(in_chs, layer_scale_init) if layer_scale_init else nn.Identity()
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, in_chs, H, W)."""
        out: torch.Tensor = self.drop_path(self.layer_scale(self.attn(self.norm(x))))
        return x + out
