"""The classification loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
    """Mean cross-entropy with soft targets, computed in float32.

    Args:
        logits: (N, num_classes).
        targets: (N, num_classes), rows summing to 1.
        label_smoothing: share of every target spread evenly over all classes, 0 <= s < 1 (Szegedy et al. 2016).
    """
    return F.cross_entropy(logits.float(), targets, label_smoothing=label_smoothing)
