"""Convolution, batch norm, optional activation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv import Conv
from edgewise.blocks.pooling import conv_stride, make_pool


@dataclass(frozen=True, slots=True)
class Norm:
    """Batch normalisation's settings; `momentum` is PyTorch's."""

    eps: float = 1e-5
    momentum: float = 0.1

    def __call__(self, num_chs: int) -> nn.BatchNorm2d:
        """Make the norm for ``num_chs`` channels."""
        return nn.BatchNorm2d(num_chs, eps=self.eps, momentum=self.momentum)


class ConvNorm(nn.Module):
    """``conv`` (no bias) and ``bn``, then an activation if one is named. (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride)."""

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        act: str | None = None,
        conv: Conv | None = None,
        norm: Norm | None = None,
        downsample: str = "stride",
    ) -> None:
        super().__init__()
        self.conv = (conv or Conv())(in_chs, out_chs, kernel, conv_stride(downsample, stride), groups=groups)
        self.bn = (norm or Norm())(out_chs)
        self.act = make_act(act, out_chs)
        self.aa = make_pool(downsample, out_chs, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.aa(self.act(self.bn(self.conv(x))))
        return out


class ConvNormAct(nn.Module):
    """A row of its own: ``conv`` (no bias), ``bn1``, activation. (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride)."""

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 3,
        stride: int = 1,
        act: str = "relu",
        *,
        conv: Conv | None = None,
        norm: Norm | None = None,
        downsample: str = "stride",
    ) -> None:
        super().__init__()
        self.conv = (conv or Conv())(in_chs, out_chs, kernel, conv_stride(downsample, stride))
        self.bn1 = (norm or Norm())(out_chs)
        self.act = make_act(act, out_chs)
        self.aa = make_pool(downsample, out_chs, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.aa(self.act(self.bn1(self.conv(x))))
        return out
