"""Rounding to int8 and back while training, with gradients that pass as if nothing was rounded.

As the int8 exporters round: weights per output channel and symmetric (seven bits, -64 to 64, zero is exact), maps per tensor and affine
(256 levels over the range that was seen, which includes zero). Where a value is clipped its gradient is zero, else it passes straight
through (Bengio et al. 2013, arXiv 1308.3432). Source: Krishnamoorthi 2018, arXiv 1806.08342.
"""

from __future__ import annotations

import torch
from torch import nn

LARGEST_WEIGHT = 64
"""The coarsest of the runtimes' grids: ONNX files have seven bits (`deploy.quantise`), the others -127 to 127."""
LAST_LEVEL = 255
SMALLEST_SCALE = torch.finfo(torch.float32).tiny
RATE = 0.05
"""Share of a batch's range in the running one. torch's own default is 0.01, for runs of many thousand steps."""


class Rounding(nn.Module):
    """Something that rounds: always in eval mode, in training unless `is_paused`."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused = False

    @property
    def rounds(self) -> bool:
        """Return whether it rounds now."""
        return not (self.training and self.is_paused)


class RoundedWeight(Rounding):
    """Rounds a kernel (out, …) to int8 per output channel; its scales follow from it alone, as in the exporters."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return ``weight`` rounded; its shape stays."""
        if not self.rounds:
            return weight
        per_channel = weight.detach().abs().amax(dim=tuple(range(1, weight.dim())))
        scale = (per_channel / LARGEST_WEIGHT).clamp_min(SMALLEST_SCALE)
        zero_point = torch.zeros_like(scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -LARGEST_WEIGHT, LARGEST_WEIGHT)


class RoundedMap(Rounding):
    """Rounds a map of any shape to 256 levels between `low` and `high`, the running range of what it saw in training.

    Both are buffers, so they are saved, resumed and averaged with the weights. The first batch sets them. While `is_observing` is false,
    and in eval mode, they stay. Before anything was seen the range is empty and the answer zero.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.is_observing = True
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` rounded; its shape stays."""
        if not self.rounds:
            return x
        if self.training and self.is_observing:
            self._observe(x.detach())
        scale = ((self.high - self.low) / LAST_LEVEL).clamp_min(SMALLEST_SCALE)
        zero_point = (-self.low / scale).round().to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, 0, LAST_LEVEL)

    @torch.no_grad()
    def _observe(self, x: torch.Tensor) -> None:
        low, high = torch.aminmax(x)
        # no look at the values from Python: on an accelerator it would wait for them, once for each map
        rate = torch.where(self.low < self.high, RATE, 1.0)
        self.low.lerp_(low.clamp_max(0.0), rate)
        self.high.lerp_(high.clamp_min(0.0), rate)
