"""Per-channel scale of a residual branch."""

from __future__ import annotations

import torch
from torch import nn


class LayerScale(nn.Module):
    """Multiply each channel by a learned ``gamma`` (Touvron et al. 2021, CaiT). (N, C, H, W) to (N, C, H, W)."""

    def __init__(self, num_chs: int, init: float = 1e-5) -> None:
        super().__init__()
        self.init = init
        self.gamma = nn.Parameter(torch.full((num_chs,), init))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x * self.gamma.view(1, -1, 1, 1)
