"""From uint8 batches to the floats that a network takes."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def normalise(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Scale uint8 images (N, C, H, W) to 0-1, subtract ``mean``, divide by ``std``, per channel.

    Floats in 0-255, as mixing may give, are taken too. Device and memory format stay; the result is float32.
    """
    shape = (1, -1, 1, 1)
    offset = torch.tensor(mean, dtype=torch.float32, device=images.device).mul_(255).view(shape)
    scale = torch.tensor(std, dtype=torch.float32, device=images.device).mul_(255).view(shape)
    return images.to(torch.float32).sub(offset).div_(scale)
