"""Seeds by counting: each consumer of randomness gets its own from the run's seed and its place in the run."""

from __future__ import annotations

import hashlib


def counter_seed(seed: int, purpose: str, *place: int) -> int:
    """Return 63 bits that depend on nothing but the arguments; no stream, no state, the same on every machine."""
    text = f"{seed}/{purpose}/" + "/".join(str(part) for part in place)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
