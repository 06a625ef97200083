"""The last layer."""

from __future__ import annotations

from torch import nn


def classifier_of(in_features: int, num_classes: int) -> nn.Module:
    """Make the linear layer to ``num_classes`` logits; an identity for 0. (N, in_features) to (N, num_classes)."""
    return nn.Linear(in_features, num_classes) if num_classes > 0 else nn.Identity()
