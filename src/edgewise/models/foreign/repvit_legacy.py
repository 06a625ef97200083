"""RepViT's first generation of token mixers turned into the second, exactly.

The first (M1, M2, M3) has a norm on each of its two branches and none on their sum; the second (M0.9 and later) has none on the
1x1 branch and one on the sum. The 1x1's norm is folded into it, and the norm of the sum becomes the identity in eval mode.

Source: the two versions of THU-MIG/RepViT:model/repvit.py:RepVGGDW.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NORM = ("weight", "bias", "running_mean", "running_var")


def convert_legacy_mixers(entries: dict[str, Any], target: Mapping[str, Tensor], eps: float) -> int:
    """Replace every legacy mixer in ``entries`` for which ``target`` has one of the second generation.

    Args:
        entries: from the file, by the model's names.
        target: the model's state.
        eps: of the model's batch norms.

    Returns:
        How many were converted.
    """
    mixers = [name.removesuffix("conv1.bias") for name in target if name.endswith("token_mixer.conv1.bias")]
    return sum(_convert(entries, mixer, eps) for mixer in mixers if f"{mixer}bn.weight" in target)


def _convert(entries: dict[str, Any], mixer: str, eps: float) -> bool:
    weight = entries.get(f"{mixer}conv1.c.weight")
    norm = [entries.get(f"{mixer}conv1.bn.{part}") for part in NORM]
    if not isinstance(weight, Tensor) or weight.dim() != 4:
        return False
    parts = [part for part in norm if isinstance(part, Tensor) and part.shape == weight.shape[:1]]
    if len(parts) < len(NORM) or not all(part.is_floating_point() for part in (weight, *parts)):
        return False
    gamma, beta, mean, var = (part.double() for part in parts)
    scale = gamma * torch.rsqrt(var + eps)
    for name in [name for name in entries if name.startswith((f"{mixer}conv1.c.", f"{mixer}conv1.bn."))]:
        del entries[name]
    dtype = weight.dtype
    entries[f"{mixer}conv1.weight"] = (weight.double() * scale.view(-1, 1, 1, 1)).to(dtype)
    entries[f"{mixer}conv1.bias"] = (beta - mean * scale).to(dtype)
    ones = torch.ones_like(gamma)
    identity = {"weight": ones, "bias": 0 * ones, "running_mean": 0 * ones, "running_var": ones - eps}
    entries |= {f"{mixer}bn.{part}": value.to(dtype) for part, value in identity.items()}
    return True
