"""Dynamic ReLU: a piecewise linear function whose slopes follow from the input."""

from __future__ import annotations

import torch
from torch import nn


class DynamicReLU(nn.Module):
    """Per channel the larger of two lines, their slopes and intercepts from the map's mean. (N, C, H, W) to (N, C, H, W).

    Source: Chen et al. 2020, arXiv 2003.10027, variant B: K = 2, lambdas 1.0 and 0.5, coefficients 2 sigmoid(.) - 1, reduction 8.
    Starts as ReLU. Mobile-Former's own form, driven by a token, is `blocks.former_relu.TokenReLU`.
    """

    def __init__(self, num_chs: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(1, num_chs // reduction)
        self.fc1 = nn.Conv2d(num_chs, hidden, 1)
        self.act = nn.ReLU(inplace=True)
        self.fc2 = nn.Conv2d(hidden, 4 * num_chs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        theta = 2.0 * torch.sigmoid(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True))))) - 1.0
        slope1, slope2, intercept1, intercept2 = theta.chunk(4, dim=1)
        return torch.maximum(x * (slope1 + 1.0) + 0.5 * intercept1, x * slope2 + 0.5 * intercept2)
