"""Whether a series may be believed, and what disturbed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgewise.bench import statistics
from edgewise.bench.state import find_step
from edgewise.bench.statistics import Samples, Values
from edgewise.records.measurement import Verdict

MIN_BLOCKS = 30
MAX_VARIATION = 0.10
NOISY_VARIATION = 0.05
MAX_DRIFT = 0.05
NOISY_HALF_WIDTH = 0.02
# A thread alone on its core has 0.99 of it; beside one busy loop on the same core it has about 0.5. The limits stand
# well away from both. Others on other cores cost turbo, cache and bandwidth: that marks a run, it does not spoil it.
MIN_CPU_SHARE = 0.90
MAX_OTHERS_ON_OUR_CORES = 0.15
NOISY_OTHERS_ON_MACHINE = 0.40


@dataclass(frozen=True, slots=True, kw_only=True)
class Contention:
    """Who had the processor while blocks were timed.

    Attributes:
        cpu_share: share of the timed wall time in which the measured process had a core; None where it may sleep by
            design (more than one thread).
        others_on_cores: share of the measured process's own cores that other processes used, 0-1.
        others_on_machine: share of all cores that other processes used, 0-1.
    """

    cpu_share: float | None = None
    others_on_cores: float = 0.0
    others_on_machine: float = 0.0

    def disturbance(self) -> str:
        """Say who took the cores measured on, or nothing when nobody did."""
        if self.cpu_share is not None and self.cpu_share < MIN_CPU_SHARE:
            return f"other processes took the core: it was ours {self.cpu_share:.0%} of the time"
        if self.others_on_cores > MAX_OTHERS_ON_OUR_CORES:
            return f"other processes used {self.others_on_cores:.0%} of the cores measured on"
        return ""

    def noise(self) -> str:
        """Say how busy the rest of the machine was, or nothing when it was quiet enough."""
        if self.others_on_machine > NOISY_OTHERS_ON_MACHINE:
            return f"other processes used {self.others_on_machine:.0%} of the machine"
        return ""


QUIET = Contention()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons.

    Attributes:
        verdict: as stored in the record.
        reason: empty when trusted.
        passing: whether a rejection may be gone on a second try: the machine was disturbed, not the file at fault.
    """

    verdict: Verdict
    reason: str = field(default="")
    passing: bool = field(default=False)


def judge(
    samples: Samples,
    *,
    reference_ms: Sequence[float] = (),
    contention: Contention = QUIET,
    checksums: Sequence[Sequence[str]] = (),
    min_blocks: int = MIN_BLOCKS,
    launch_sizes: Sequence[int] = (),
) -> Judgement:
    """Judge a series of blocks.

    A series that only follows the machine's speed, as the reference kernel tells it, is noisy and not rejected.

    Args:
        samples: ms, one row a block.
        reference_ms: of the reference kernel beside each block; empty where it was not timed.
        contention: who had the processor during the blocks.
        checksums: of the output after each block, one row a process; in one process the same input must give the same output.
        min_blocks: blocks below which the series counts as noisy.
        launch_sizes: blocks of each process; empty for a single one.
    """
    faults = _faults(samples, checksums)
    if faults:
        return Judgement("rejected", "; ".join(faults))
    medians = statistics.block_medians(samples)
    moods = _unsteadiness(medians)
    explained = bool(moods) and len(reference_ms) > 0 and not _unsteadiness(medians / np.asarray(reference_ms))
    disturbances = [contention.disturbance()] if contention.disturbance() else []
    if disturbances or (moods and not explained):
        return Judgement("rejected", "; ".join([*disturbances, *moods, *_steps(medians, reference_ms)]), passing=True)
    noise = [*_steps(medians, reference_ms), *_noise(samples, contention, min_blocks, launch_sizes)]
    return Judgement("noisy", "; ".join(noise)) if noise else Judgement("trusted")


def _faults(samples: Samples, checksums: Sequence[Sequence[str]]) -> list[str]:
    faults = []
    if statistics.identical(samples):
        faults.append("all times are identical to the bit")
    if any(len(set(launch)) > 1 for launch in checksums):
        faults.append("the output changed between blocks on the same input")
    return faults


def _unsteadiness(medians: Values) -> list[str]:
    found = []
    if (spread := statistics.variation(medians)) > MAX_VARIATION:
        found.append(f"blocks vary by {spread:.0%} (limit {MAX_VARIATION:.0%})")
    if abs(trend := statistics.drift(medians)) > MAX_DRIFT:
        found.append(f"times drift by {trend:+.0%} from the first third to the last (limit {MAX_DRIFT:.0%})")
    return found


def _steps(medians: Values, reference_ms: Sequence[float]) -> list[str]:
    """Name a change of state: the machine's, or else one that the reference kernel did not feel."""
    if machine := find_step(reference_ms):
        return [f"the machine became {machine.text}"]
    own = find_step(medians)
    beside = " while the reference kernel kept its pace" if len(reference_ms) else ""
    return [f"the file became {own.text}{beside}"] if own else []


def _noise(samples: Samples, contention: Contention, min_blocks: int, launch_sizes: Sequence[int]) -> list[str]:
    noise = [contention.noise()] if contention.noise() else []
    half_width = statistics.half_width(samples, launch_sizes=launch_sizes)
    spread = statistics.variation(statistics.block_medians(samples))
    if len(samples) < min_blocks:
        noise.append(f"only {len(samples)} of {min_blocks} blocks fitted into the time given")
    if half_width > NOISY_HALF_WIDTH:
        noise.append(f"the median is known to ±{half_width:.1%} only (limit ±{NOISY_HALF_WIDTH:.0%})")
    if spread > NOISY_VARIATION:
        noise.append(f"blocks vary by {spread:.1%} (limit {NOISY_VARIATION:.0%})")
    return noise
