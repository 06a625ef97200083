"""Whether one measurement is faster than another, or whether nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgewise.bench.statistics import ratio_interval
from edgewise.records.measurement import Measurement

Outcome = Literal["faster", "slower", "no difference shown", "not comparable"]

SMALLEST_DIFFERENCE = 0.01
"""Below this share two medians are never called different: the same file measured twice differs by as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the second of two measurements stands to the first.

    Attributes:
        outcome: of the second, seen from the first.
        ratio: latency of the second divided by that of the first.
        ci_low: lower end of the ratio's 95 % interval.
        ci_high: its upper end.
        paired: whether the blocks were taken in turns, so that the machine's moods cancel out.
        text: all of it as one sentence.
    """

    outcome: Outcome
    ratio: float
    ci_low: float
    ci_high: float
    paired: bool
    text: str


def compare(a: Measurement, b: Measurement) -> Comparison:
    """Compare ``b`` with ``a``; both names and the figures stand in the text."""
    paired = interleaved(a, b)
    first, second = np.array(a.block_medians_ms), np.array(b.block_medians_ms)
    ratio = float(np.median(second / first)) if paired else b.latency_ms / a.latency_ms
    low, high = ratio_interval(first, second, paired=paired)
    outcome = _outcome(a, b, ratio, low, high)
    text = _sentence(a, b, outcome, f"{ratio - 1:+.1%}, 95 % interval {low - 1:+.1%} to {high - 1:+.1%}")
    return Comparison(outcome=outcome, ratio=ratio, ci_low=low, ci_high=high, paired=paired, text=text)


def interleaved(a: Measurement, b: Measurement) -> bool:
    """Say whether the blocks of both were taken in turns: one set shares one environment, to the second."""
    return a.environment == b.environment and len(a.block_medians_ms) == len(b.block_medians_ms)


def _outcome(a: Measurement, b: Measurement, ratio: float, low: float, high: float) -> Outcome:
    if not (a.usable and b.usable):
        return "not comparable"
    if low <= 1 <= high or abs(ratio - 1) < SMALLEST_DIFFERENCE:
        return "no difference shown"
    return "slower" if ratio > 1 else "faster"


def _sentence(a: Measurement, b: Measurement, outcome: Outcome, figures: str) -> str:
    if outcome == "not comparable":
        bad = b if a.usable else a
        return f"{b.name} and {a.name} are not comparable: {bad.name} was rejected ({bad.reason})"
    if outcome == "no difference shown":
        return f"no difference shown between {b.name} and {a.name} ({figures})"
    return f"{b.name} is {outcome} than {a.name} ({figures})"
