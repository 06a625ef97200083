"""Whether one measurement is faster than another, or whether nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgewise.bench.statistics import launch_medians, ratio_apart, ratio_interval, ratio_side_by_side
from edgewise.records.measurement import Measurement

Outcome = Literal["faster", "slower", "no difference shown", "not comparable"]
Basis = Literal["interleaved", "normalised", "raw"]
"""What is compared: blocks taken in turns; blocks of separate measurements in units of the reference kernel's time beside
each; or bare times, where nothing better is there: another processor, or no reference."""

REMARKS: dict[Basis, str] = {
    "interleaved": "",
    "normalised": "; measured apart, at the machine's speed of each moment",
    "raw": "; measured apart",
}

SMALLEST_DIFFERENCE = 0.01
"""Below this share two medians are never called different: the same file measured twice differs by as much."""
SMALLEST_OF_ONE_PROCESS = 0.02
"""The same where fewer than `MIN_LAUNCHES` processes were measured: each has a speed of its own (see `protocol.measure_cases`)."""
MIN_LAUNCHES = 4
"""Processes of each side from which the scatter between processes can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the second of two measurements stands to the first.

    Attributes:
        outcome: of the second, seen from the first.
        ratio: latency of the second divided by that of the first.
        ci_low: lower end of the ratio's 95 % interval.
        ci_high: its upper end.
        basis: what was compared.
        text: all of it as one sentence.
    """

    outcome: Outcome
    ratio: float
    ci_low: float
    ci_high: float
    basis: Basis
    text: str


def compare(a: Measurement, b: Measurement) -> Comparison:
    """Compare ``b`` with ``a``; both names and the figures stand in the text."""
    basis = _basis(a, b)
    first, second = _blocks(a, basis), _blocks(b, basis)
    if min(len(a.launch_sizes), len(b.launch_sizes)) >= MIN_LAUNCHES:
        smallest = SMALLEST_DIFFERENCE
        if basis == "interleaved":
            ratio, low, high = ratio_side_by_side(launch_medians(second / first, a.launch_sizes))
        else:
            ratio, low, high = ratio_apart(
                launch_medians(first, a.launch_sizes), launch_medians(second, b.launch_sizes)
            )
    else:
        smallest = SMALLEST_OF_ONE_PROCESS
        paired = basis == "interleaved"
        ratio = float(np.median(second / first) if paired else np.median(second) / np.median(first))
        low, high = ratio_interval(first, second, paired=paired)
    outcome = _outcome(a, b, ratio, low, high, smallest)
    figures = f"{ratio - 1:+.1%}, 95 % interval {low - 1:+.1%} to {high - 1:+.1%}{REMARKS[basis]}"
    return Comparison(
        outcome=outcome, ratio=ratio, ci_low=low, ci_high=high, basis=basis, text=_sentence(a, b, outcome, figures)
    )


def _basis(a: Measurement, b: Measurement) -> Basis:
    if interleaved(a, b):
        return "interleaved"
    same_kernel = a.speed is not None and b.speed is not None and a.speed.kernel == b.speed.kernel
    return "normalised" if same_kernel and a.environment.cpu == b.environment.cpu else "raw"


def _blocks(of: Measurement, basis: Basis) -> NDArray[np.float64]:
    units = of.in_reference_units if basis == "normalised" else None
    return np.array(of.block_medians_ms if units is None else units)


def interleaved(a: Measurement, b: Measurement) -> bool:
    """Say whether the blocks of both were taken in turns: one set shares one environment, to the second."""
    return (
        a.environment == b.environment
        and a.launch_sizes == b.launch_sizes
        and len(a.block_medians_ms) == len(b.block_medians_ms)
    )


def _outcome(a: Measurement, b: Measurement, ratio: float, low: float, high: float, smallest: float) -> Outcome:
    if not (a.usable and b.usable):
        return "not comparable"
    if low <= 1 <= high or abs(ratio - 1) < smallest:
        return "no difference shown"
    return "slower" if ratio > 1 else "faster"


def _sentence(a: Measurement, b: Measurement, outcome: Outcome, figures: str) -> str:
    if outcome == "not comparable":
        bad = b if a.usable else a
        return f"{b.name} and {a.name} are not comparable: {bad.name} was rejected ({bad.reason})"
    if outcome == "no difference shown":
        return f"no difference shown between {b.name} and {a.name} ({figures})"
    return f"{b.name} is {outcome} than {a.name} ({figures})"
