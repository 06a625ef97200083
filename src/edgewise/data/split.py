"""A train/val split that depends on names alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def val_indices(names: Sequence[str], val_share: float, split_seed: int) -> frozenset[int]:
    """Choose the validation items of one class.

    Args:
        names: relative names; their order has no influence.
        val_share: fraction of the items, 0-1; at least one item, and at least one is left, when there are two or more.
        split_seed: another seed gives another split.

    Returns:
        Indices into ``names``: those whose hashes are the smallest.
    """
    if len(names) < 2:
        return frozenset()
    count = min(max(round(len(names) * val_share), 1), len(names) - 1)
    ranked = sorted(range(len(names)), key=lambda index: _rank(names[index], split_seed))
    return frozenset(ranked[:count])


def _rank(name: str, split_seed: int) -> bytes:
    return hashlib.sha256(f"{split_seed}\0{name}".encode("utf-8", "surrogateescape")).digest()
