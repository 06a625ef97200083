"""Stochastic depth."""

from __future__ import annotations

import torch
from torch import nn


class DropPath(nn.Module):
    """Drop a residual branch for whole samples while training (Huang et al. 2016); the kept ones are scaled by 1/(1 - rate).

    torchvision's `StochasticDepth` is the same; it is not used because importing torchvision takes longer than building a model.
    """

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, …) -> (N, …)."""
        if self.rate == 0.0 or not self.training:
            return x
        keep = 1.0 - self.rate
        mask = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(keep)
        return x * mask.div_(keep)

    def extra_repr(self) -> str:
        """Show the rate in the module's repr."""
        return f"rate={self.rate:g}"
