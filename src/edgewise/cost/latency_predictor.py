"""What a network will take by a calibrated profile, with an interval and what the calibration has not seen the like of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewise.cost.kernel_process import Process
from edgewise.cost.kernel_table import Matrix, table_of
from edgewise.cost.latency_corrections import Corrector
from edgewise.cost.latency_features import NAMES, group_of
from edgewise.cost.latency_model import GroupModel
from edgewise.records.cost import KernelCost
from edgewise.records.latency_profile import LatencyProfile, SampledGroup

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
        self._prices: dict[str, Process | GroupModel] = {
            **{each.group: Process(each) for each in profile.processes},
            **{each.group: GroupModel(each) for each in profile.kernels},
        }
        self._corrector = Corrector(profile.corrections)

    @property
    def fusion(self) -> str:
        """Return the name of the fusion model that kernels have to be formed by."""
        return self._profile.fusion

    def unpriced(self, kernels: Sequence[KernelCost]) -> list[KernelCost]:
        """Return those of ``kernels`` of whose kind none was sampled: they are missing in an estimate."""
        return [each for each in kernels if (group := group_of(each)) is not None and group not in self._prices]

    def estimate(self, kernels: Sequence[KernelCost]) -> LatencyEstimate:
        """Price ``kernels``, formed by the profile's fusion model."""
        table = table_of([kernels])
        logs = {group: self._prices[group].logs(rows) for group, rows in table.rows.items() if group in self._prices}
        found = self._corrector.corrected(table, logs)
        times_ms, by_group, outside = np.zeros(len(kernels)), {}, []
        for group, own in logs.items():
            rows = table.rows[group]
            times_ms[rows.place] = found.factors[group] * np.exp(own) / 1e3
            by_group[group] = float(times_ms[rows.place].sum())
            outside += _all_outside(kernels, rows.place, rows.sizes, self._prices[group].record)
        outside += [
            _outside(kernel, "none of its kind was sampled; it is not priced") for kernel in self.unpriced(kernels)
        ]
        latency_ms = float(found.latency_us[0]) / 1e3
        spread = Z90 * self._profile.doubt_factor * float(found.sd[0])
        return LatencyEstimate(
            latency_ms=latency_ms,
            low_ms=latency_ms * math.exp(-spread),
            high_ms=latency_ms * math.exp(spread),
            by_group_ms=by_group,
            kernels_ms=tuple(times_ms.tolist()),
            outside=tuple(outside),
        )


def _all_outside(
    kernels: Sequence[KernelCost], places: Iterable[int], sizes: Matrix, model: SampledGroup
) -> list[Outside]:
    return [
        _outside(kernels[place], why)
        for place, row in zip(places, sizes, strict=True)
        if (why := _beyond(row, model)) is not None
    ]


def _outside(kernel: KernelCost, why: str) -> Outside:
    return Outside(module=kernel.module, kind=kernel.kind, why=why)


def _beyond(sizes: Matrix, model: SampledGroup) -> str | None:
    for name, size, low, high in zip(NAMES, sizes, model.low, model.high, strict=False):
        if not low - OUTSIDE <= size <= high + OUTSIDE:
            return f"{name} {2**size:.4g}, sampled {2**low:.4g} to {2**high:.4g}"
    return None
