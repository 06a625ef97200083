"""Halving a map by pooling instead of by a stride."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class BlurPool(nn.Module):
    """Depthwise 3x3 binomial filter at stride 2, zero padding. (N, C, H, W) to (N, C, ceil(H/2), ceil(W/2)).

    Source: Zhang 2019, arXiv 1904.11486. The filter is no weight: it is not in state dicts, as in timm.
    """

    filter: torch.Tensor

    def __init__(self, num_chs: int) -> None:
        super().__init__()
        line = torch.tensor([0.25, 0.5, 0.25], device="cpu")
        kernel = (line[:, None] * line).expand(num_chs, 1, 3, 3).contiguous()
        self.register_buffer("filter", kernel.to(torch.empty(0).device), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2))."""
        return F.conv2d(x, self.filter, stride=2, padding=1, groups=x.shape[1])


def make_pool(downsample: str, num_chs: int, stride: int) -> nn.Module:
    """Make what halves a map behind a convolution that lost its stride: ``avg`` or ``blur``; an identity for ``stride``."""
    if stride == 1 or downsample == "stride":
        return nn.Identity()
    return BlurPool(num_chs) if downsample == "blur" else nn.AvgPool2d(2, 2)


def conv_stride(downsample: str, stride: int) -> int:
    """Return the stride that is left to the convolution."""
    return stride if downsample == "stride" else 1
