"""A calibrated latency predictor as data: what each sort of kernel takes in one runtime on one machine, and how sure that is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgewise.records.environment import Environment
from edgewise.records.record import Record
from edgewise.records.timed import Timed

Finite = Annotated[float, Field(allow_inf_nan=False)]


class CalibrationRequest(Record):
    """What to calibrate, and how long it may take."""

    runtime: str
    threads: int = 1
    budget_s: Annotated[float, Field(allow_inf_nan=False)] = 900.0


class SampledGroup(Record):
    """One group of kernels, and where the traits that were sampled lie."""

    group: str
    centre: tuple[Finite, ...]
    """Of each trait in the calibration, which is subtracted; sizes are base-two logarithms."""
    scale: tuple[Finite, ...]
    """By which it is divided then."""
    low: tuple[Finite, ...]
    high: tuple[Finite, ...]
    """Smallest and largest of each trait in the calibration."""


class KernelModel(SampledGroup):
    """The time of one group of kernels: a roofline, times a smooth function of the sizes.

    ``log(time) = log(overhead + macs / macs_per_us + bytes / bytes_per_us) + terms · weights``, in µs.
    """

    overhead_us: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    macs_per_us: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    bytes_per_us: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    weights: tuple[Finite, ...]
    """Of the terms: the sizes, their products, the flags."""
    num_kernels: int
    """In the calibration."""


class KernelProcess(SampledGroup):
    """The time of one group of kernels, of which each was timed: a Gaussian process over their traits.

    ``log(time / roof) = mean + k(traits, points) · weights`` with traits minus `centre`, divided by `scale`; the roof is a plain one.
    """

    mean: Finite
    points: tuple[tuple[Finite, ...], ...]
    """Traits of the kernels that were timed, scaled."""
    weights: tuple[Finite, ...]
    """One for each point."""


class Correction(SampledGroup):
    """Distinct kernels of one group in the calibration's networks, over whose traits a process says how far their prices are off."""

    points: tuple[tuple[Finite, ...], ...]
    """Traits, scaled."""
    networks: tuple[int, ...]
    """To which of the calibration's each belongs, in order."""
    shares: tuple[Finite, ...]
    """Of its network's latency."""


class Corrections(Record):
    """What whole networks say of the prices of kernels: gaps between latencies and sums of prices, and how they move together."""

    spread: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Standard deviation of the logarithm of a group's factors."""
    constant_us: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Of one call, whatever the network."""
    groups: tuple[Correction, ...]
    call_shares: tuple[Finite, ...]
    """What the constant is of each network's latency."""
    gaps: tuple[Finite, ...]
    """Of each network, as logarithms."""
    covariance: tuple[tuple[Finite, ...], ...]
    """Of the gaps: each row up to the diagonal."""


class Sample(Timed):
    """One micro-network of a calibration."""

    seed: int


class LatencyProfile(Record):
    """What `edgewise calibrate` finds."""

    version: Literal[1] = 1
    runtime: str
    threads: int
    precision: str = "fp32"
    fusion: str
    """Name of the fusion model by which kernels are formed."""
    environment: Environment
    reference_kernel: str
    reference_ms: float
    """Median of the reference kernel during the calibration: the machine's speed that latencies are told for."""
    kernels: tuple[KernelModel, ...] = ()
    """Prices of kernels where whole networks alone are timed."""
    processes: tuple[KernelProcess, ...] = ()
    """Prices where the runtime has a profiler."""
    corrections: Corrections
    doubt_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """By which the standard deviations of latencies are multiplied: half of the left-out networks are within 0.6745 of them then."""
    median_error: Finite
    """On networks that were left out, as a fraction."""
    within_10_percent: Finite
    """Share of networks that were left out whose prediction was within 10 %."""
    samples: tuple[Sample, ...]
