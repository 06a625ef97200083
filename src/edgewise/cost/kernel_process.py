"""Kernel times where each kernel was timed: a Gaussian process for each group (Rasmussen and Williams, 2006, sections 2.2 and 2.7).

It says by what a kernel's time differs from a plain roofline. Far from what was sampled a polynomial of second degree in the traits'
logarithms remains.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from edgewise.cost.kernel_table import KernelRows, KernelTable, Matrix
from edgewise.cost.latency_features import PLAIN_ROOF, roof_parts
from edgewise.cost.scaling import Scaling
from edgewise.records.latency_profile import KernelProcess

AMPLITUDE: Final = 0.6
"""Standard deviation of what the polynomial does not say, as a logarithm."""
LENGTH: Final = 2.5
"""Over which it changes; traits are scaled to one."""
NOISE: Final = 0.08
"""Of one kernel's time."""
NOISE_US: Final = 0.3
LEVEL: Final = 4.0
SLOPE: Final = 1.0
CURVE: Final = 0.14
"""Standard deviations of the polynomial's coefficients, of degree 0, 1 and 2."""
MIN_KERNELS: Final = 4
"""Of a group, from which on it is priced."""
CONSTANT_US: Final = 5.0
"""Of a call, which no profile of kernels tells; the latencies correct it."""


class Process:
    """A `KernelProcess`, ready to price kernels."""

    def __init__(self, record: KernelProcess) -> None:
        self.record = record
        self._scaling = Scaling.of_record(record)
        self._points, self._weights = np.array(record.points), np.array(record.weights)

    @classmethod
    def fitted(cls, group: str, traits: Matrix, times_us: Matrix) -> Process:
        """Fit the times of (kernels, traits)."""
        gaps = np.log(times_us) - _roof_logs(traits)
        scaling = Scaling.of(traits)
        points = scaling.scaled(traits).round(4)
        covariance = _covariance(points, points) + np.diag(NOISE**2 + (NOISE_US / times_us) ** 2)
        weights = np.linalg.solve(covariance, gaps - gaps.mean())
        return cls(
            KernelProcess(
                group=group,
                mean=float(gaps.mean()),
                **scaling.fields(),
                points=tuple(map(tuple, points.tolist())),
                weights=tuple(float(f"{weight:.8g}") for weight in weights),
            )
        )

    def logs(self, rows: KernelRows) -> Matrix:
        """Return the logarithm of each kernel's time in µs."""
        known = _covariance(self._scaling.scaled(rows.traits), self._points) @ self._weights
        logs: Matrix = _roof_logs(rows.traits) + self.record.mean + known
        return logs


def _roof_logs(traits: Matrix) -> Matrix:
    """Return the logarithms of the times in µs that a plain roofline gives (kernels, traits)."""
    logs: Matrix = np.log(roof_parts(traits) @ np.array(PLAIN_ROOF))
    return logs


def _covariance(one: Matrix, other: Matrix) -> Matrix:
    """Return that of the process at the points of both, the polynomial's with it."""
    products = one @ other.T
    distances = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * products
    smooth = AMPLITUDE**2 * np.exp(-np.maximum(distances, 0.0) / (2 * LENGTH**2))
    # (x · y)² is the sum over all products of two traits
    covariance: Matrix = smooth + LEVEL**2 + SLOPE**2 * products + CURVE**2 / 2 * products**2
    return covariance


def fit_processes(table: KernelTable) -> Mapping[str, Process]:
    """Return the process of each group of which enough kernels have a time."""
    return {
        group: Process.fitted(group, rows.traits[known], rows.times_us[known])
        for group, rows in table.rows.items()
        if (known := np.isfinite(rows.times_us)).sum() >= MIN_KERNELS
    }
