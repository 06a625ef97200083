"""Kernel times where each kernel was timed: a Gaussian process for each group (Rasmussen and Williams, 2006, sections 2.2 and 2.7).

Far from what was sampled a polynomial of second degree in the traits' logarithms remains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.latency_features import group_of, sizes_of, traits_of
from edgewise.cost.left_out import left_out
from edgewise.records.cost import KernelCost
from edgewise.records.latency_profile import KernelProcess

Matrix = NDArray[np.float64]

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
GROSS: Final = 0.03
"""Relative error beyond which a latency counts in proportion only: a disturbed one is not to bend the rest."""
MIN_SCALE: Final = 0.6
BEYOND: Final = 0.5
"""Doublings up to which a trait counts beyond the sampled range."""
MIN_KERNELS: Final = 4
"""Of a group, from which on it is priced."""

Timed = Sequence[float | None]
"""Of each kernel of a network; None where the profile has none."""


@dataclass(frozen=True)
class Rows:
    """The kernels of several networks, group by group: traits, and which network each belongs to."""

    traits: dict[str, Matrix]
    network: dict[str, NDArray[np.intp]]
    place: dict[str, NDArray[np.intp]]
    """Of each kernel in its network."""

    @classmethod
    def of(cls, networks: Sequence[Sequence[KernelCost]]) -> Self:
        """Arrange the kernels of ``networks``."""
        found: dict[str, list[tuple[tuple[float, ...], int, int]]] = {}
        for number, kernels in enumerate(networks):
            weights = math.log2(1 + sum(kernel.weight_bytes for kernel in kernels))
            for place, kernel in enumerate(kernels):
                if (group := group_of(kernel)) is not None:
                    row = ((*sizes_of(kernel), *traits_of(kernel), weights), number, place)
                    found.setdefault(group, []).append(row)
        return cls(
            {group: np.array([row[0] for row in rows]) for group, rows in found.items()},
            {group: np.array([row[1] for row in rows], np.intp) for group, rows in found.items()},
            {group: np.array([row[2] for row in rows], np.intp) for group, rows in found.items()},
        )


class Process:
    """A `KernelProcess`, ready to price kernels."""

    def __init__(self, record: KernelProcess) -> None:
        self.record = record
        self._points, self._weights = np.array(record.points), np.array(record.weights)
        self._centre, self._scale = np.array(record.centre), np.array(record.scale)
        self._low, self._high = np.array(record.low) - BEYOND, np.array(record.high) + BEYOND

    @classmethod
    def fitted(cls, group: str, traits: Matrix, times_us: Matrix, scatter: float = 0.0) -> Process:
        """Fit the times of (kernels, traits)."""
        logs = np.log(times_us)
        centre, scale = traits.mean(0), np.maximum(traits.std(0), MIN_SCALE)
        points = ((traits - centre) / scale).round(4)
        covariance = _covariance(points, points) + np.diag(NOISE**2 + (NOISE_US / times_us) ** 2)
        weights = np.linalg.solve(covariance, logs - logs.mean())
        return cls(
            KernelProcess(
                group=group,
                mean=float(logs.mean()),
                centre=tuple(centre.tolist()),
                scale=tuple(scale.tolist()),
                low=tuple(traits.min(0).tolist()),
                high=tuple(traits.max(0).tolist()),
                points=tuple(map(tuple, points.tolist())),
                weights=tuple(float(f"{weight:.8g}") for weight in weights),
                scatter=scatter,
            )
        )

    def times_us(self, traits: Matrix) -> Matrix:
        """Return the time of each of (kernels, traits)."""
        scaled = (np.clip(traits, self._low, self._high) - self._centre) / self._scale
        times: Matrix = np.exp(self.record.mean + _covariance(scaled, self._points) @ self._weights)
        return times


def _covariance(one: Matrix, other: Matrix) -> Matrix:
    """Return that of the process at the points of both, the polynomial's with it."""
    products = one @ other.T
    distances = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * products
    smooth = AMPLITUDE**2 * np.exp(-np.maximum(distances, 0.0) / (2 * LENGTH**2))
    # (x · y)² is the sum over all products of two traits
    covariance: Matrix = smooth + LEVEL**2 + SLOPE**2 * products + CURVE**2 / 2 * products**2
    return covariance


class ProcessFit:
    """The processes of all groups, and how the sum of kernels makes a latency."""

    def __init__(
        self, networks: Sequence[Sequence[KernelCost]], times_us: Sequence[Timed], latency_us: Sequence[float]
    ) -> None:
        """Fit.

        Args:
            networks: the kernels of each.
            times_us: of each kernel, under the profiler.
            latency_us: of each network, without it, at the same speed of the machine.
        """
        rows = Rows.of(networks)
        timed = _timed(rows, times_us)
        self.processes = {
            group: Process.fitted(group, rows.traits[group][known], times[known])
            for group, times in timed.items()
            if (known := np.isfinite(times)).sum() >= MIN_KERNELS
        }
        sums = np.array([sum(filter(None, times)) for times in times_us])
        counts = np.array([sum(time is not None for time in times) for times in times_us])
        self.call_us, self.kernel_us, self.factor = _shares(counts, sums, np.asarray(latency_us))

    def kernels_us(self, networks: Sequence[Sequence[KernelCost]]) -> list[Matrix]:
        """Return the time of each kernel of each network, as it adds to the latency; 0 for one that costs nothing or is not priced."""
        rows = Rows.of(networks)
        found = [np.zeros(len(kernels)) for kernels in networks]
        for group, process in self.processes.items():
            if group in rows.traits:
                times = self.kernel_us + self.factor * process.times_us(rows.traits[group])
                for number, place, time in zip(rows.network[group], rows.place[group], times, strict=True):
                    found[number][place] = time
        return found

    def predicted_us(self, networks: Sequence[Sequence[KernelCost]]) -> Matrix:
        """Return the latency of each network."""
        return np.array([self.call_us + times.sum() for times in self.kernels_us(networks)])


def _timed(rows: Rows, times_us: Sequence[Timed]) -> dict[str, Matrix]:
    """Return the times of the kernels of ``rows``; NaN where there is none."""
    return {
        group: np.array(
            [
                time if (time := times_us[number][place]) is not None else math.nan
                for number, place in zip(rows.network[group], rows.place[group], strict=True)
            ]
        )
        for group in rows.traits
    }


def _shares(counts: Matrix, sums: Matrix, latency_us: Matrix) -> tuple[float, float, float]:
    """Find what a call and each kernel cost besides, and by what the profiler's times are to be multiplied.

    By least squares of relative errors, in which those beyond `GROSS` count in proportion only.
    """
    columns = np.stack([np.ones_like(sums), counts, sums], axis=1) / latency_us[:, None]
    weights = np.ones(len(sums))
    call_us, kernel_us, factor = 0.0, 0.0, 1.0
    for _ in range(10):
        found = np.linalg.lstsq(columns * weights[:, None], weights, rcond=None)[0]
        weights = np.sqrt(np.minimum(1.0, GROSS / np.maximum(np.abs(columns @ found - 1), 1e-9)))
        call_us, kernel_us, factor = found.tolist()
    return call_us, kernel_us, factor


@dataclass(frozen=True)
class Worth:
    """What a fit is worth on networks that it has not seen.

    Attributes:
        errors: of the logarithms of their latencies.
        scatter: of each group, the standard deviation of the logarithm of a kernel's time.
        noise: that of a latency, which the scatter of its kernels does not explain.
    """

    errors: Matrix
    scatter: Mapping[str, float]
    noise: float


def worth(networks: Sequence[Sequence[KernelCost]], times_us: Sequence[Timed], latency_us: Sequence[float]) -> Worth:
    """Judge the fit by leaving a fifth of the networks out five times."""
    kernels: dict[int, Matrix] = {}

    def predict(others: Sequence[int], held: Sequence[int]) -> Matrix:
        fit = ProcessFit(
            [networks[at] for at in others], [times_us[at] for at in others], [latency_us[at] for at in others]
        )
        found = fit.kernels_us([networks[at] for at in held])
        kernels.update(zip(held, found, strict=True))
        return np.array([fit.call_us + times.sum() for times in found])

    predicted = left_out(len(networks), predict)
    errors = np.log(predicted) - np.log(np.asarray(latency_us))
    scatter = _scatter(networks, times_us, kernels)
    explained = np.array(
        [
            sum(
                (time * scatter.get(group_of(kernel) or "", 0.0)) ** 2
                for time, kernel in zip(kernels[at], own, strict=True)
            )
            / predicted[at] ** 2
            for at, own in enumerate(networks)
        ]
    )
    return Worth(errors, scatter, _noise(errors, explained))


def _scatter(
    networks: Sequence[Sequence[KernelCost]], times_us: Sequence[Timed], predicted: Mapping[int, Matrix]
) -> dict[str, float]:
    """Return how far single kernels are off, group by group: half of them are within 0.67 of it."""
    gaps: dict[str, list[float]] = {}
    for at, kernels in enumerate(networks):
        for kernel, time, guess in zip(kernels, times_us[at], predicted[at], strict=True):
            if (group := group_of(kernel)) is not None and time is not None and guess > 0:
                gaps.setdefault(group, []).append(abs(math.log(guess / time)))
    return {group: float(np.median(each)) / 0.674 for group, each in gaps.items()}


def _noise(errors: Matrix, explained: Matrix) -> float:
    """Return the noise with which nine of ten errors are within 1.645 standard deviations."""
    low, high = 0.005, 0.5
    for _ in range(40):
        middle = math.sqrt(low * high)
        within = float(np.mean(np.abs(errors) <= 1.645 * np.sqrt(middle**2 + explained)))
        low, high = (low, middle) if within >= 0.9 else (middle, high)
    return high
