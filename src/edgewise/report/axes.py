"""Scales and tick marks of a chart axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A mapping of values onto pixels, linear or logarithmic."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of ``value``."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return self.start_px + (at - low) / (high - low) * (self.end_px - self.start_px)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values inside the range, about ``count`` of them."""
        return _log_ticks(self.low, self.high) if self.log else round_ticks(self.low, self.high, count)


def round_ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten inside ``low``-``high``; only whole numbers if ``whole``."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(math.log(factor * power / rough)))
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_label(value: float) -> str:
    """Return a tick's value without trailing zeros or binary dust."""
    return f"{value:.10g}"


def spread(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """Return the range of ``values`` widened by ``margin`` on both sides; never empty."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) * 0.1 or 1.0), high + (abs(high) * 0.1 or 1.0)
    pad = (high - low) * margin
    return low - pad, high + pad


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [factor * 10.0**decade for decade in decades for factor in (1, 2, 5)]
    inside = [tick for tick in fine if low <= tick <= high]
    return inside if len(inside) <= 8 else [10.0**decade for decade in decades if low <= 10.0**decade <= high]
