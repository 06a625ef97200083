"""The least time that a machine can need for a file, and how near a measured latency comes to it."""

from __future__ import annotations

from typing import Literal

from edgewise.records.record import Record


class Limit(Record):
    """The larger of the time for all multiplications and the time for all bytes that must move at least once."""

    limit_ms: float
    share: float
    """`limit_ms` divided by the latency, 1 = at the limit. Above 1 where a runtime multiplies less than the network says (Winograd)."""
    bound: Literal["compute", "memory"]
    """Which of the two is the larger."""
    compute_ms: float
    memory_ms: float | None
    """Absent where the machine's caches are unknown."""
    memory_level: str | None = None
    """The level whose bandwidth takes longest, as in ``L3``."""
    macs: int
    """Of one call."""
    bytes_moved: int
    """Weights at the file's precision, input and output, once each."""
    precision: str
    """Of the peak that was taken: the file's, or fp32 where that is faster."""
    macs_per_s: float
    """The peak, at the machine's speed when the latency was taken."""
    bytes_per_s: float | None
    kernel: str
    """What reached the peak when the profile was made."""
    profile_made_at: str
