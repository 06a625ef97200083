"""One latency measurement with its raw samples and a verdict about itself."""

from __future__ import annotations

from typing import Literal

from edgewise.records.environment import Environment
from edgewise.records.record import Record

Verdict = Literal["trusted", "noisy", "rejected"]


class Measurement(Record):
    """The latency of one file (or module) in one runtime on one machine."""

    name: str
    """What was measured, as a person would call it."""
    runtime: str
    format: str
    precision: str
    threads: int
    batch: int
    input_shape: tuple[int, ...]
    latency_ms: float
    """Median over all samples of all blocks, for one call."""
    ci_low_ms: float
    ci_high_ms: float
    """95 % bootstrap interval of the median, resampled over blocks."""
    p90_ms: float | None
    """Absent with fewer than 1,024 samples."""
    min_ms: float
    images_per_s: float
    load_ms: float
    peak_rss_bytes: int
    file_bytes: int
    verdict: Verdict
    reason: str
    """Why it is noisy or rejected; empty when trusted."""
    block_medians_ms: tuple[float, ...]
    samples_ms: tuple[tuple[float, ...], ...]
    """Raw samples, one row a block, in the order in which they were taken."""
    environment: Environment

    @property
    def usable(self) -> bool:
        """Whether the number may be compared with others."""
        return self.verdict != "rejected"
