"""What a series of timed blocks says: medians, intervals, drift. Only numpy; no clocks, no records."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = Sequence[Sequence[float]]
"""Milliseconds of single calls: one row a block, in the order in which they were taken."""
Values = NDArray[np.float64]

MIN_SAMPLES_FOR_P90 = 1024
RESAMPLES = 1000


def block_medians(samples: Samples) -> Values:
    """Return the median of each block, in ms."""
    return np.array([np.median(block) for block in samples], dtype=np.float64)


def pooled_median(samples: Samples) -> float:
    """Return the median over all samples of all blocks, in ms."""
    return float(np.median(np.concatenate([np.asarray(block, dtype=np.float64) for block in samples])))


def median_interval(samples: Samples, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the pooled median, in ms; whole blocks are drawn, not single samples.

    Samples of one block share the machine's state of that moment; drawing them singly would promise too much.
    """
    values = np.concatenate([np.asarray(block, dtype=np.float64) for block in samples])
    order = np.argsort(values)
    block_of = np.repeat(np.arange(len(samples)), [len(block) for block in samples])[order]

    def median(drawn: NDArray[np.int64]) -> float:
        """Return the pooled median of the drawn blocks: sorted once, each block counts as often as it was drawn."""
        up_to = np.cumsum(np.bincount(drawn, minlength=len(samples))[block_of])
        middle = np.searchsorted(up_to, [(up_to[-1] - 1) // 2, up_to[-1] // 2], side="right")
        return float(values[order[middle]].mean())

    return _bootstrap(len(samples), median, seed)


def ratio_interval(first: Values, second: Values, *, paired: bool, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of ``second / first``.

    Args:
        first: block medians of one series, in ms.
        second: those of the other; of equal length when ``paired``.
        paired: whether block ``i`` of both was taken at nearly the same moment. The interval is then that of the
            median of the pairs' ratios, so that whatever slows both alike cancels out.
        seed: of the draws.
    """
    if paired:
        ratios = second / first
        return _bootstrap(len(ratios), lambda drawn: np.median(ratios[drawn]), seed)
    rng = np.random.default_rng(seed)
    draws = [
        np.median(rng.choice(second, len(second))) / np.median(rng.choice(first, len(first))) for _ in range(RESAMPLES)
    ]
    return _percentiles(draws)


def p90(samples: Samples) -> float | None:
    """Return the 90th percentile in ms; None with fewer than 1,024 samples, too few to speak of a tail."""
    if sum(len(block) for block in samples) < MIN_SAMPLES_FOR_P90:
        return None
    return float(np.percentile(np.concatenate([np.asarray(block) for block in samples]), 90))


def calls_per_s(samples: Samples) -> float:
    """Return how many calls were done a second while the clock ran."""
    return sum(map(len, samples)) * 1e3 / sum(map(sum, samples))


def variation(medians: Values) -> float:
    """Return the coefficient of variation of the block medians; 0.05 is 5 %."""
    return float(np.std(medians, ddof=1) / np.mean(medians)) if len(medians) > 1 else 0.0


def drift(medians: Values) -> float:
    """Return by how much the last third of the blocks is slower than the first; 0 unless all three thirds rise or fall.

    0.05 is 5 % slower at the end, -0.05 is 5 % faster.
    """
    if len(medians) < 3:
        return 0.0
    first, middle, last = (float(np.median(third)) for third in np.array_split(medians, 3))
    return last / first - 1 if first < middle < last or first > middle > last else 0.0


def identical(samples: Samples) -> bool:
    """Say whether all of at least two samples are equal to the bit, as no real clock gives them."""
    values = {value for block in samples for value in block}
    return len(values) == 1 and sum(len(block) for block in samples) > 1


def _bootstrap(size: int, statistic: Callable[[NDArray[np.int64]], float], seed: int) -> tuple[float, float]:
    draws = np.random.default_rng(seed).integers(0, size, (RESAMPLES, size))
    return _percentiles([statistic(drawn) for drawn in draws])


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
