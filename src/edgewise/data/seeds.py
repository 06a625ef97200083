"""Random generators counted from (seed, epoch, position): no stream, no state, no global generator."""

from __future__ import annotations

import hashlib

import numpy as np


def derived_seed(*parts: int | str) -> int:
    """Return a 128-bit seed for a tuple such as ``("sample", run_seed, epoch, position)``."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(seed: int) -> np.random.Generator:
    """Return a fresh counter-based generator; equal seeds (0 to 2^128 - 1) give equal numbers on every machine."""
    return np.random.Generator(np.random.Philox(key=seed))
