"""What a series of timed blocks says: medians, intervals, drift. Only numpy; no clocks, no records."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = Sequence[Sequence[float]]
"""Milliseconds of single calls: one row a block, in the order in which they were taken."""
Values = NDArray[np.float64]

MIN_SAMPLES_FOR_P90 = 1024
RESAMPLES = 1000
STUDENT_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""97.5 % quantiles of Student's t for 1, 2, 3 … degrees of freedom."""


def block_medians(samples: Samples) -> Values:
    """Return the median of each block, in ms."""
    return np.array([np.median(block) for block in samples], dtype=np.float64)


def pooled_median(samples: Samples) -> float:
    """Return the median over all samples of all blocks, in ms."""
    return float(np.median(np.concatenate([np.asarray(block, dtype=np.float64) for block in samples])))


def median_interval(samples: Samples, *, launch_sizes: Sequence[int] = (), seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the pooled median, in ms.

    Whole processes are drawn, then whole blocks of each: samples of one block share the machine's state of that moment, and blocks of
    one process share where its memory lies. Drawing samples singly would promise too much.

    Args:
        samples: one row a block.
        launch_sizes: blocks of each process, in order; empty for a single one.
        seed: of the draws.
    """
    values = np.concatenate([np.asarray(block, dtype=np.float64) for block in samples])
    order = np.argsort(values)
    block_of = np.repeat(np.arange(len(samples)), [len(block) for block in samples])[order]

    def median(drawn: NDArray[np.int64]) -> float:
        """Return the pooled median of the drawn blocks: sorted once, each block counts as often as it was drawn."""
        up_to = np.cumsum(np.bincount(drawn, minlength=len(samples))[block_of])
        middle = np.searchsorted(up_to, [(up_to[-1] - 1) // 2, up_to[-1] // 2], side="right")
        return float(values[order[middle]].mean())

    sizes = np.array(launch_sizes or [len(samples)])
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    launches = rng.integers(0, len(sizes), (RESAMPLES, len(sizes)))[:, np.repeat(np.arange(len(sizes)), sizes)]
    blocks = starts[launches] + (sizes[launches] * rng.random(launches.shape)).astype(np.int64)
    return _percentiles([median(drawn) for drawn in blocks])


def half_width(samples: Samples, *, launch_sizes: Sequence[int] = ()) -> float:
    """Return half the width of `median_interval`, as a fraction of the median."""
    low, high = median_interval(samples, launch_sizes=launch_sizes)
    return (high - low) / 2 / pooled_median(samples)


def launch_medians(blocks: Values, launch_sizes: Sequence[int]) -> Values:
    """Return the median over each process's ``blocks``; `launch_sizes` says how many blocks each process has, in order."""
    return np.array([np.median(part) for part in np.split(blocks, np.cumsum(launch_sizes)[:-1])])


def ratio_side_by_side(ratios: Values) -> tuple[float, float, float]:
    """Return the geometric mean of at least three ratios and its 95 % interval by Student's t.

    Args:
        ratios: one for each launch; the order in which the two were started alternates, and what that does to the ratio (the same
            share up in one launch and down in the next) is taken out of the scatter.
    """
    groups = [np.log(ratios)[parity::2] for parity in (0, 1)]
    freedom = len(ratios) - 2
    variance = sum(float(np.sum((logs - logs.mean()) ** 2)) for logs in groups) / freedom
    error = math.sqrt(variance * sum(1 / len(logs) for logs in groups)) / 2
    return _by_student(float(np.mean([logs.mean() for logs in groups])), error, freedom)


def ratio_apart(first: Values, second: Values) -> tuple[float, float, float]:
    """Return ``second / first`` of two series' geometric means and its 95 % interval, by Student's t with the smaller one's freedom.

    Args:
        first: the level of each process of one series, two at least.
        second: those of the other.
    """
    logs = np.log(first), np.log(second)
    error = math.sqrt(sum(float(np.var(each, ddof=1)) / len(each) for each in logs))
    return _by_student(float(logs[1].mean() - logs[0].mean()), error, min(map(len, logs)) - 1)


def _by_student(log_ratio: float, error: float, freedom: int) -> tuple[float, float, float]:
    half = STUDENT_975[min(freedom, len(STUDENT_975)) - 1] * error
    return math.exp(log_ratio), math.exp(log_ratio - half), math.exp(log_ratio + half)


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
