"""Mixup and cutmix of a batch, decided by (seed, epoch, batch) alone."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from edgewise.data.augment import AugmentConfig
from edgewise.data.seeds import derived_seed, generator


def mix_batch(
    images: torch.Tensor,
    targets: torch.Tensor,
    num_classes: int,
    config: AugmentConfig,
    *,
    seed: int,
    epoch: int,
    batch_index: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each image with another of its batch, one way and one share for all of them.

    Args:
        images: (N, 3, S, S), uint8 or float; not changed.
        targets: class indices (N,).
        num_classes: width of the soft targets.
        config: `mixup` and `cutmix` are the alphas of the Beta distribution, 0 for off.
        seed: the run's.
        epoch: from 0.
        batch_index: within the epoch, from 0.

    Returns:
        Images of the same type and soft targets (N, num_classes) in float32; one-hot where nothing was mixed.

    Source: Zhang et al. 2018, "mixup"; Yun et al. 2019, "CutMix".
    """
    one_hot = F.one_hot(targets, num_classes).to(torch.float32)
    if not (config.mixup or config.cutmix) or len(images) < 2:
        return images, one_hot
    random = generator(derived_seed("mix", seed, epoch, batch_index))
    apply, switch = random.random(2)
    if apply >= config.mix_prob:
        return images, one_hot
    # partners by a rotation: everyone gets exactly one, and never itself
    shift = int(random.integers(1, len(images)))
    use_cutmix = config.cutmix > 0 and (config.mixup == 0 or switch < config.switch_prob)
    alpha = config.cutmix if use_cutmix else config.mixup
    share = float(random.beta(alpha, alpha))
    if use_cutmix:
        images, share = _paste(images, shift, share, random)
    else:
        images = _blend(images, shift, share)
    return images, one_hot * share + one_hot.roll(shift, 0) * (1 - share)


def _blend(images: torch.Tensor, shift: int, share: float) -> torch.Tensor:
    mixed = images.float().mul_(share) if images.dtype == torch.uint8 else images * share
    mixed.add_(images.roll(shift, 0), alpha=1 - share)
    return mixed.round_().to(torch.uint8) if images.dtype == torch.uint8 else mixed


def _paste(images: torch.Tensor, shift: int, share: float, random: np.random.Generator) -> tuple[torch.Tensor, float]:
    """Paste a rectangle of about ``1 - share`` of the area; return the images and the share that is really left."""
    height, width = images.shape[-2:]
    half_h, half_w = height * (1 - share) ** 0.5 / 2, width * (1 - share) ** 0.5 / 2
    centre_y, centre_x = random.random(2) * (height, width)
    top, bottom = max(0, round(centre_y - half_h)), min(height, round(centre_y + half_h))
    left, right = max(0, round(centre_x - half_w)), min(width, round(centre_x + half_w))
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images.roll(shift, 0)[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)
