"""What a device can do at most: multiply-accumulates a second by precision, and bytes a second by memory level."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgewise.records.environment import Environment
from edgewise.records.measurement import MachineSpeed
from edgewise.records.record import Record

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Level = Literal["L1", "L2", "L3", "DRAM"]
"""From the fastest to the largest."""
LEVELS: tuple[Level, ...] = ("L1", "L2", "L3", "DRAM")

MacsPerS = Annotated[float, Field(ge=1e6, le=1e17, allow_inf_nan=False)]
"""From a microcontroller's to a hundred times an H200's; 22.7 for 22.7 GMAC/s falls outside."""
BytesPerS = Annotated[float, Field(ge=1e6, le=1e15, allow_inf_nan=False)]
Bytes = Annotated[int, Field(ge=1024, le=2**50)]
Threads = Annotated[int, Field(ge=1, le=4096)]
RIDGE_POINTS = (0.05, 20_000.0)
"""MACs per byte between which any real device's ridge point lies; one outside is a slip of units."""


class ComputePeak(Record):
    """The most multiply-accumulates a second in one precision."""

    precision: Precision
    threads: Threads | None = None
    """That reached it; absent for what is stated of the device as its title describes it."""
    macs_per_s: MacsPerS
    """Median over blocks where it was measured."""
    low: MacsPerS | None = None
    high: MacsPerS | None = None
    """95 % bootstrap interval of the median."""
    kernel: str = ""
    """What reached it, as in ``onnxruntime MatMul 512 x 512 x 512``."""
    reference_ms: float | None = None
    """Time of the bench's reference kernel at that moment."""


class Bandwidth(Record):
    """The most bytes a second from or to one level of the memory."""

    level: Level
    access: Literal["read", "copy", "any"] = "any"
    """Of ``copy`` both what is read and what is written counts; ``any``: as stated, for either."""
    threads: Threads | None = None
    bytes_per_s: BytesPerS
    low: BytesPerS | None = None
    high: BytesPerS | None = None
    kernel: str = ""
    buffer_bytes: int | None = None
    """What was walked through, by all threads together."""
    reference_ms: float | None = None


class Cache(Record):
    """One level of a processor's caches."""

    level: Literal["L1", "L2", "L3"]
    size_bytes: Bytes
    """Of one of them."""
    num_sharing: Threads = 1
    """Cores that share it."""


class FittedRoofline(Record):
    """A roofline fitted to published latencies: latency = constant + sum over operators of max(MACs, ridge point x bytes) / peak.

    Its parameters are effective ones: they hold what the fit's models have in common, software included.
    """

    precision: Precision
    ridge_point_macs_per_byte: Annotated[float, Field(gt=0, le=RIDGE_POINTS[1])]
    macs_per_s: MacsPerS
    bytes_per_s: BytesPerS
    constant_s: Annotated[float, Field(ge=0, lt=1)]
    num_models: Annotated[int, Field(ge=1)]
    families: str
    median_error: Annotated[float, Field(ge=0)]
    """Median absolute error on the models that it was fitted to, as a fraction."""
    loo_median_error: Annotated[float, Field(ge=0)]
    """The same on models left out one at a time."""
    loo_within_10_percent: Annotated[float, Field(ge=0, le=1)]
    """Share of left-out models within 10 %."""
    note: str = ""


class DeviceProfile(Record):
    """One device. What is not known of it is absent, never 0 and never guessed.

    1 MAC = 1 multiply + 1 add, half of what TOPS and FLOPS count; peaks are dense ones.
    """

    format_version: Literal[1] = 1
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    title: str
    """For people: the device, and the part of it that the figures hold for."""
    kind: Literal["cpu", "gpu", "npu", "dsp"]
    peaks: tuple[ComputePeak, ...] = ()
    memory: tuple[Bandwidth, ...] = ()
    caches: tuple[Cache, ...] = ()
    fitted: FittedRoofline | None = None
    source: str = ""
    """Where the figures come from."""
    confidence: Literal["high", "medium", "low"] | None = None
    """``high``: well known vendor figures, or measured here undisturbed; ``medium``: one independent source or a simple derivation;
    ``low``: derived with an assumption, sources that disagree, or measured on a busy machine. Absent without figures."""
    read: Literal["all", "partly", "none"] | None = None
    """Which of the figures were read in a source when this was written; the others are from memory: check them before you publish any."""
    read_note: str = ""
    notes: str = ""
    environment: Environment | None = None
    """Of a measured profile: the machine, the versions and the date."""
    speed: MachineSpeed | None = None
    """Of a measured profile: the reference kernel's time beside each figure, in the order of `peaks` and `memory`."""
    remarks: tuple[str, ...] = ()
    """What disturbed the measurement."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        compute = [f"{peak.precision}, {peak.threads or 'no'} threads" for peak in self.peaks]
        moving = [f"{row.level} {row.access}, {row.threads or 'no'} threads" for row in self.memory]
        for place, keys in (
            ("peaks", compute),
            ("memory", moving),
            ("caches", [str(each.level) for each in self.caches]),
        ):
            if twice := next((key for key in keys if keys.count(key) > 1), None):
                raise ValueError(f"{place} has two rows for {twice}")
        for row in self.memory:
            for peak in self.peaks if row.level == "DRAM" else ():
                ridge = peak.macs_per_s / row.bytes_per_s
                if peak.threads == row.threads and not RIDGE_POINTS[0] <= ridge <= RIDGE_POINTS[1]:
                    raise ValueError(
                        f"{peak.precision} reaches {peak.macs_per_s:g} MAC/s and DRAM {row.bytes_per_s:g} bytes/s, "
                        f"{ridge:.2g} MACs a byte; one of them must be in another unit"
                    )
        return self

    def peak(self, precision: str, threads: int | None = None) -> ComputePeak | None:
        """Return the peak of ``precision`` with exactly ``threads``; None where it is unknown."""
        return next((each for each in self.peaks if (each.precision, each.threads) == (precision, threads)), None)

    def bandwidth(self, level: Level, threads: int | None = None) -> Bandwidth | None:
        """Return the fastest access to ``level`` with exactly ``threads``; None where none is known."""
        rows = [each for each in self.memory if (each.level, each.threads) == (level, threads)]
        return max(rows, key=lambda row: row.bytes_per_s, default=None)

    def cached_bytes(self, level: Level, threads: int = 1) -> int | None:
        """Return the most that the caches before ``level`` hold for ``threads`` cores; None where no cache's size is known."""
        before = LEVELS[: LEVELS.index(level)]
        sizes = [each.size_bytes * self._instances(each, threads) for each in self.caches if each.level in before]
        return sum(sizes) if self.caches else None

    def ridge_point(self, precision: str, threads: int | None = None) -> float | None:
        """Return the MACs per byte of DRAM above which arithmetic bounds, and below which memory does; None where a figure is absent."""
        peak, memory = self.peak(precision, threads), self.bandwidth("DRAM", threads)
        return peak.macs_per_s / memory.bytes_per_s if peak is not None and memory is not None else None

    def _instances(self, cache: Cache, threads: int) -> int:
        num_cores = self.environment.num_cores if self.environment is not None else threads
        return max(1, min(threads, math.ceil(num_cores / cache.num_sharing)))
