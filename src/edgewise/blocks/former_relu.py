"""Mobile-Former's dynamic ReLU, whose slopes follow from a token."""

from __future__ import annotations

import torch
from torch import nn


class TokenReLU(nn.Module):
    """Per channel the larger of two lines through the origin, their slopes from a token. (N, C, H, W), (N, d) to (N, C, H, W).

    The first slope lies within 0 and 2, the second within -1 and 1; with zero biases and small weights they start near 1 and 0, as
    ReLU. Source: the code that Mobile-Former's authors released, which differs from the original dynamic ReLU
    (`blocks.dynamic_relu`): no intercepts, a hard sigmoid, no pooled map.
    """

    def __init__(self, num_chs: int, token_dim: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(1, token_dim // reduction)
        self.hyper = nn.Sequential(
            nn.Linear(token_dim, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 2 * num_chs), nn.Hardsigmoid()
        )

    def forward(self, x: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W), (N, d) -> (N, C, H, W)."""
        first, second = (2.0 * self.hyper(token))[:, :, None, None].chunk(2, dim=1)
        second = second - 1.0
        if not self.training:
            return torch.maximum(x * first, x * second)
        # the same lines below and above 0: the gradient of a maximum of two maps takes three times as long
        lower, upper = torch.minimum(first, second), torch.maximum(first, second)
        return x * lower + x.relu() * (upper - lower)
