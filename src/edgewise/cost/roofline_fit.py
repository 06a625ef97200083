"""Fitting a roofline to latencies of a device that nobody here has: its effective peaks, bandwidth and constants.

The model: latency = constant + kernels x dispatch + sum over kernels of max(MACs, R x bytes) / peak, with a peak of its own for depthwise
convolutions, which leave most of a matrix unit idle, plus bytes written by GELU x a time of their own, as int8 runtimes lack it.

Source: MobileNetV4 (arXiv 2404.10518v2), section 3 and appendix F, which has the sum alone. Deviation: the other four terms; without them
the ridge point has to stand for all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.roofline import bytes_of
from edgewise.records.cost import CostReport

RIDGE_POINTS: Final = (
    0.0,
    1.0,
    2.0,
    3.0,
    5.0,
    7.0,
    10.0,
    14.0,
    20.0,
    28.0,
    40.0,
    56.0,
    80.0,
    110.0,
    160.0,
    220.0,
    320.0,
    450.0,
)
"""Tried one after the other; each makes the rest a linear problem."""
TERMS: Final = ("dense", "depthwise", "gelu", "kernels", "constant")
ROUNDS: Final = 6
FLAT: Final = 0.02
"""Relative errors below this weigh alike; above it an error counts by its size, not by its square."""
MOST: Final = 0.5
"""A relative error counts as this at most when ridge points are compared: one odd model must not choose."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RooflineFit:
    """What was fitted.

    Attributes:
        ridge_point: MACs per byte.
        weights: of `TERMS`, so that their sum is a latency in ms.
    """

    ridge_point: float
    weights: tuple[float, ...]

    def latency_ms(self, report: CostReport) -> float:
        """Return the latency of a counted model."""
        return float(_terms(report, self.ridge_point) @ np.array(self.weights))

    @property
    def macs_per_s(self) -> float:
        """Return the effective peak of all but depthwise convolutions; infinite where they cost nothing."""
        return 1e3 / self.weights[0] if self.weights[0] else float("inf")

    @property
    def depthwise_macs_per_s(self) -> float:
        """Return the effective peak of depthwise convolutions; infinite where they cost nothing."""
        return 1e3 / self.weights[1] if self.weights[1] else float("inf")


def fit_roofline(reports: Sequence[CostReport], latencies_ms: Sequence[float]) -> RooflineFit:
    """Fit to the latencies of counted models: the smallest relative error, with few large ones forgiven.

    Args:
        reports: with their kernels, at the precision that was timed; more than there are `TERMS`.
        latencies_ms: one for each.

    Raises:
        ValueError: there are too few models to fit.
    """
    return _fit(_terms_of_all(reports), np.array(latencies_ms))


def left_out_latencies(reports: Sequence[CostReport], latencies_ms: Sequence[float]) -> Values:
    """Return for each model the latency in ms that a fit to all others gives it; raises as `fit_roofline` does."""
    terms, wanted = _terms_of_all(reports), np.array(latencies_ms)
    found = []
    for number, report in enumerate(reports):
        rest = [at for at in range(len(reports)) if at != number]
        found.append(_fit(terms[:, rest], wanted[rest]).latency_ms(report))
    return np.array(found)


def _terms_of_all(reports: Sequence[CostReport]) -> Values:
    """Return the terms of each model at each of `RIDGE_POINTS`, as (ridge points, models, terms)."""
    return np.array([[_terms(report, ridge_point) for report in reports] for ridge_point in RIDGE_POINTS])


def _fit(terms: Values, wanted: Values) -> RooflineFit:
    if len(wanted) <= len(TERMS):
        raise ValueError(f"{len(wanted)} models cannot settle {len(TERMS)} terms")
    best = (float("inf"), RooflineFit(0.0, (0.0,) * len(TERMS)))
    for ridge_point, at_point in zip(RIDGE_POINTS, terms, strict=True):
        weights = _reweighted(at_point, wanted)
        error = float(np.mean(np.minimum(np.abs(at_point @ weights / wanted - 1), MOST)))
        best = min(best, (error, RooflineFit(ridge_point, tuple(weights.tolist()))), key=lambda each: each[0])
    return best[1]


def _terms(report: CostReport, ridge_point: float) -> Values:
    dense = depthwise = gelu = 0.0
    for kernel in report.kernels:
        cost = max(kernel.macs, ridge_point * bytes_of(kernel))
        if kernel.kind == "depthwise":
            depthwise += cost
        else:
            dense += cost
        gelu += kernel.written_bytes * any(op.endswith("gelu") for op in kernel.ops)
    return np.array([dense, depthwise, gelu, len(report.kernels), 1.0])


def _reweighted(terms: Values, wanted: Values) -> Values:
    """Return non-negative weights with a small sum of absolute relative errors: squares, weighted anew by the errors found."""
    scale = 1 / wanted
    weights = _non_negative(terms * scale[:, None], wanted * scale)
    for _ in range(ROUNDS):
        errors = np.abs(terms @ weights / wanted - 1)
        rounds_scale = scale / np.sqrt(np.maximum(errors, FLAT))
        weights = _non_negative(terms * rounds_scale[:, None], wanted * rounds_scale)
    return weights


def _non_negative(terms: Values, wanted: Values) -> Values:
    """Solve least squares with weights of 0 or more: the best of all subsets whose own solution has no negative weight."""
    units = np.abs(terms).max(axis=0)
    present = np.flatnonzero(units)  # a term that no model has says nothing
    scaled = terms / np.where(units > 0, units, 1.0)
    best, found = float(np.sum(wanted**2)), np.zeros(terms.shape[1])
    for size in range(1, len(present) + 1):
        for chosen in itertools.combinations(present, size):
            columns = list(chosen)
            solution = np.linalg.lstsq(scaled[:, columns], wanted, rcond=None)[0]
            error = float(np.sum((scaled[:, columns] @ solution - wanted) ** 2))
            if (solution >= 0).all() and error < best:
                best, found = error, np.zeros(terms.shape[1])
                found[columns] = solution / units[columns]
    return found
