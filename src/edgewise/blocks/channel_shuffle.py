"""Mixing the channels of the groups of a convolution."""

from __future__ import annotations

import torch
from torch import nn


class ChannelShuffle(nn.Module):
    """Read channels laid out as (groups, C / groups) in the other order. (N, C, H, W) to (N, C, H, W).

    Source: ShuffleNet, arXiv 1707.01083, section 3.1.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        batch, num_chs, height, width = x.shape
        grouped = x.reshape(batch, self.groups, num_chs // self.groups, height, width)
        return grouped.transpose(1, 2).reshape(x.shape)

    def extra_repr(self) -> str:
        """Show the groups in the module's repr."""
        return f"groups={self.groups}"


def make_shuffle(groups: int) -> nn.Module:
    """Make the shuffle of ``groups`` groups; an identity for one group."""
    return ChannelShuffle(groups) if groups > 1 else nn.Identity()
