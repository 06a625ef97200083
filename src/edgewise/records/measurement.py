"""One latency measurement with its raw samples and a verdict about itself."""

from __future__ import annotations

import statistics
from typing import Literal

from edgewise.records.environment import Environment
from edgewise.records.record import Record

Verdict = Literal["trusted", "noisy", "rejected"]


class MachineSpeed(Record):
    """How fast the machine was during a measurement, told by a small kernel timed before and after each block."""

    kernel: str
    """What was timed; times of one kernel alone compare."""
    times_ms: tuple[float, ...]
    """One a block: the mean of just before and just after it."""
    change: str
    """A step in them, as in ``1.27x faster after block 17``; empty where the speed stayed."""


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
    batches_per_s: float | None = None
    """Calls done a second, from all samples: slow ones count too, which the median forgets."""
    load_ms: float
    peak_rss_bytes: int
    file_bytes: int
    placement: dict[str, int] | None = None
    """How many operators run where, as in ``{"XNNPACK": 1, "portable": 3}``; absent where the runtime does not tell."""
    verdict: Verdict
    reason: str
    """Why it is noisy or rejected; empty when trusted."""
    block_medians_ms: tuple[float, ...]
    samples_ms: tuple[tuple[float, ...], ...]
    """Raw samples, one row a block, in the order in which they were taken."""
    launch_sizes: tuple[int, ...] = ()
    """Blocks of each process, in order; empty in records of a single one."""
    speed: MachineSpeed | None = None
    """Absent in records made before it was taken."""
    environment: Environment

    @property
    def usable(self) -> bool:
        """Whether the number may be compared with others."""
        return self.verdict != "rejected"

    @property
    def in_reference_units(self) -> tuple[float, ...] | None:
        """Return each block's median divided by the reference kernel's time beside it; what changes the clock cancels out."""
        if self.speed is None:
            return None
        return tuple(
            block / reference for block, reference in zip(self.block_medians_ms, self.speed.times_ms, strict=True)
        )

    def normalised_ms(self, reference_ms: float | None = None) -> float | None:
        """Return the latency at one speed of the machine, in ms.

        Args:
            reference_ms: the reference kernel's time at that speed; the measurement's own median by default.
        """
        if self.speed is None or self.in_reference_units is None:
            return None
        at = statistics.median(self.speed.times_ms) if reference_ms is None else reference_ms
        return statistics.median(self.in_reference_units) * at
