"""Steps in a series of times: a machine that changes its clock half-way measures two machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_SIDE = 4
"""Blocks on each side of a step; fewer are an outlier, not a state."""
MIN_STEP = 0.06
"""Smallest change that is called one, as a share."""
MIN_SIGNAL = 5.0
"""Smallest change, as a multiple of the blocks' own scatter around their side's median."""
GAUSSIAN_MAD = 1.4826
"""Standard deviation of a normal distribution by its median absolute deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A lasting change of level.

    Attributes:
        after_block: how many blocks came before it.
        ratio: time after it divided by time before it; below 1 is faster.
    """

    after_block: int
    ratio: float

    @property
    def text(self) -> str:
        """Return it in words, as in ``1.27x faster after block 17``."""
        factor, how = (self.ratio, "slower") if self.ratio > 1 else (1 / self.ratio, "faster")
        return f"{factor:.2f}x {how} after block {self.after_block}"


def find_step(times_ms: Sequence[float] | NDArray[np.float64]) -> Step | None:
    """Return the largest step in ``times_ms``, or None where the level stays.

    The split is where the two sides' means of logarithms lie furthest apart for their lengths (a CUSUM); it counts
    when the medians differ by 6 % and by five times the scatter.
    """
    logs = np.log(np.asarray(times_ms, dtype=np.float64))
    splits = range(MIN_SIDE, len(logs) - MIN_SIDE + 1)
    if not splits:
        return None
    split = max(splits, key=lambda at: _distance(logs, at))
    before, after = logs[:split], logs[split:]
    change = float(np.median(after) - np.median(before))
    scatter = GAUSSIAN_MAD * float(
        np.median(np.abs(np.concatenate([before - np.median(before), after - np.median(after)])))
    )
    if abs(change) < max(np.log1p(MIN_STEP), MIN_SIGNAL * scatter):
        return None
    return Step(after_block=split, ratio=float(np.exp(change)))


def _distance(logs: NDArray[np.float64], split: int) -> float:
    weight = np.sqrt(split * (len(logs) - split) / len(logs))
    return float(weight * abs(logs[split:].mean() - logs[:split].mean()))
