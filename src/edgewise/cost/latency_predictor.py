"""What a network will take by a calibrated profile, with an interval and what the calibration has not seen the like of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewise.cost.kernel_process import Process, Rows
from edgewise.cost.latency_features import NAMES, flags_of, group_of, sizes_of
from edgewise.cost.latency_model import WIDTH, Matrix, Prepared, Scaling
from edgewise.records.cost import KernelCost
from edgewise.records.latency_profile import KernelModel, KernelProcess, LatencyProfile

OUTSIDE: Final = 1.0
"""Doublings beyond the sampled sizes from which on a kernel is called outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """A kernel beyond what the calibration sampled."""

    module: str
    kind: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEstimate:
    """A predicted latency in ms, at the machine's speed during the calibration.

    Attributes:
        latency_ms: the prediction.
        low_ms, high_ms: 90 % interval.
        by_group_ms: what the kernels of each group take together.
        kernels_ms: of each kernel, in order; 0 for those that cost nothing.
        outside: kernels for which the calibration has no like.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    by_group_ms: Mapping[str, float]
    kernels_ms: tuple[float, ...]
    outside: tuple[Outside, ...]


Z90: Final = 1.645


class Predictor:
    """A profile, ready to price kernels."""

    def __init__(self, profile: LatencyProfile) -> None:
        self._profile = profile
        self._pricer = _ByProcess(profile) if profile.processes else _BySum(profile)

    @property
    def fusion(self) -> str:
        """Return the name of the fusion model that kernels have to be formed by."""
        return self._profile.fusion

    def unpriced(self, kernels: Sequence[KernelCost]) -> list[KernelCost]:
        """Return those of ``kernels`` of whose kind none was sampled: they are missing in an estimate."""
        known = self._pricer.groups
        return [each for each in kernels if (group := group_of(each)) is not None and group not in known]

    def estimate(self, kernels: Sequence[KernelCost]) -> LatencyEstimate:
        """Price ``kernels``, formed by the profile's fusion model."""
        priced = self._pricer.price(kernels)
        total_us = priced.constant_us + float(priced.times_us.sum())
        by_group: dict[str, float] = {}
        for kernel, time_us in zip(kernels, priced.times_us.tolist(), strict=True):
            if (group := group_of(kernel)) is not None and group in self._pricer.groups:
                by_group[group] = by_group.get(group, 0.0) + time_us / 1e3
        unpriced = [
            _outside(kernel, "none of its kind was sampled; it is not priced") for kernel in self.unpriced(kernels)
        ]
        spread = Z90 * math.sqrt(self._profile.noise**2 + priced.doubt)
        return LatencyEstimate(
            latency_ms=total_us / 1e3,
            low_ms=total_us / 1e3 * math.exp(-spread),
            high_ms=total_us / 1e3 * math.exp(spread),
            by_group_ms=by_group,
            kernels_ms=tuple((priced.times_us / 1e3).tolist()),
            outside=(*priced.outside, *unpriced),
        )


@dataclass(frozen=True, slots=True)
class _Priced:
    """What kernels take.

    Attributes:
        constant_us: of a call.
        times_us: of each kernel; 0 for those that cost nothing or have no price.
        doubt: variance of the logarithm of the sum, besides the profile's noise.
        outside: kernels beyond what was sampled.
    """

    constant_us: float
    times_us: Matrix
    doubt: float
    outside: Sequence[Outside]


class _ByProcess:
    """Prices by the times of single kernels."""

    def __init__(self, profile: LatencyProfile) -> None:
        self._profile = profile
        self._processes = {each.group: Process(each) for each in profile.processes}
        self.groups = self._processes.keys()

    def price(self, kernels: Sequence[KernelCost]) -> _Priced:
        rows = Rows.of([kernels])
        times_us, variance = np.zeros(len(kernels)), 0.0
        outside: list[Outside] = []
        for group in rows.traits.keys() & self.groups:
            process, places = self._processes[group], rows.place[group]
            own = self._profile.kernel_us + self._profile.factor * process.times_us(rows.traits[group])
            times_us[places] = own
            variance += process.record.scatter**2 * float((own**2).sum())
            outside += _all_outside(kernels, places, rows.traits[group], process.record)
        total_us = self._profile.call_us + float(times_us.sum())
        return _Priced(self._profile.call_us, times_us, variance / total_us**2, outside)


class _BySum:
    """Prices by groups whose parameters were found from sums."""

    def __init__(self, profile: LatencyProfile) -> None:
        self._profile = profile
        self.groups = {each.group for each in profile.kernels}
        self._scalings = {each.group: Scaling.of_model(each) for each in profile.kernels}
        self._covariance = np.array(profile.covariance) if profile.covariance else None

    def price(self, kernels: Sequence[KernelCost]) -> _Priced:
        constant_us, times_us = self._profile.constant_us, np.zeros(len(kernels))
        slopes = np.zeros(1 + WIDTH * len(self._profile.kernels))
        slopes[0] = constant_us
        outside: list[Outside] = []
        for at, model in enumerate(self._profile.kernels):
            places = [place for place, kernel in enumerate(kernels) if group_of(kernel) == model.group]
            if not places:
                continue
            sizes = np.array([sizes_of(kernels[place]) for place in places])
            flags = np.array([flags_of(kernels[place]) for place in places])
            own = np.array(
                [
                    math.log(max(model.overhead_us, 1e-12)),
                    -math.log(model.macs_per_us),
                    -math.log(model.bytes_per_us),
                    *model.weights,
                ]
            )
            prepared = Prepared.of(self._scalings[model.group], sizes, flags, np.zeros(len(places), np.intp))
            parts, factor = prepared.times(own)
            times_us[places] = parts.sum(1) * factor
            slopes[1 + at * WIDTH : 1 + (at + 1) * WIDTH] = prepared.slopes(parts, factor).sum(0)
            outside += _all_outside(kernels, places, sizes, model)
        row = slopes / (constant_us + float(times_us.sum()))
        doubt = float(row @ self._covariance @ row) if self._covariance is not None else 0.0
        return _Priced(constant_us, times_us, doubt, outside)


def _all_outside(
    kernels: Sequence[KernelCost], places: Iterable[int], sizes: Matrix, model: KernelModel | KernelProcess
) -> list[Outside]:
    return [
        _outside(kernels[place], why)
        for place, row in zip(places, sizes, strict=True)
        if (why := _beyond(row, model)) is not None
    ]


def _outside(kernel: KernelCost, why: str) -> Outside:
    return Outside(module=kernel.module, kind=kernel.kind, why=why)


def _beyond(sizes: Matrix, model: KernelModel | KernelProcess) -> str | None:
    for name, size, low, high in zip(NAMES, sizes, model.low, model.high, strict=False):
        if not low - OUTSIDE <= size <= high + OUTSIDE:
            return f"{name} {2**size:.4g}, sampled {2**low:.4g} to {2**high:.4g}"
    return None
