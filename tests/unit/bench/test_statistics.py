import numpy as np
import pytest

from edgewise.bench import statistics


def quiet_series(seed=0, blocks=30, calls=5, level=10.0, spread=0.005):
    rng = np.random.default_rng(seed)
    return (level * (1 + spread * rng.standard_normal((blocks, calls)))).tolist()


def test_medians_of_blocks_and_of_all_samples_are_exact():
    samples = [[1.0, 9.0, 2.0], [4.0, 4.0], [7.0]]
    assert statistics.block_medians(samples).tolist() == [2.0, 4.0, 7.0]
    assert statistics.pooled_median(samples) == 4.0


def test_interval_of_equal_blocks_is_a_point_and_else_holds_the_median():
    assert statistics.median_interval([[3.0, 3.0]] * 30) == (3.0, 3.0)
    low, high = statistics.median_interval(quiet_series())
    assert low < statistics.pooled_median(quiet_series()) < high
    assert (high - low) / 10 < 0.01


def test_interval_is_the_same_on_every_call():
    assert statistics.median_interval(quiet_series()) == statistics.median_interval(quiet_series())
    assert statistics.median_interval(quiet_series()) != statistics.median_interval(quiet_series(), seed=1)


def test_interval_draws_whole_blocks():
    by_block = [[1.0] * 50] * 15 + [[2.0] * 50] * 15
    mixed = [[1.0] * 25 + [2.0] * 25] * 30
    assert statistics.median_interval(by_block) == (1.0, 2.0)
    assert statistics.median_interval(mixed) == (1.5, 1.5)


def test_interval_covers_the_true_median_nineteen_times_in_twenty():
    covered = 0
    for seed in range(100):
        low, high = statistics.median_interval(quiet_series(seed=seed, spread=0.02))
        covered += low <= 10.0 <= high
    assert 89 <= covered <= 100


def test_p90_needs_1024_samples():
    assert statistics.p90([list(range(1023))]) is None
    assert statistics.p90([list(range(512)), list(range(512, 1024))]) == pytest.approx(920.7)


def test_variation_is_the_coefficient_of_variation():
    assert statistics.variation(np.array([9.0, 10.0, 11.0])) == pytest.approx(0.1)
    assert statistics.variation(np.array([9.0])) == 0.0


@pytest.mark.parametrize(
    ("medians", "expected"),
    [
        ([10.0] * 10 + [10.5] * 10 + [11.0] * 10, 0.1),
        ([10.0] * 10 + [9.5] * 10 + [9.0] * 10, -0.1),
        ([10.0] * 10 + [12.0] * 10 + [11.0] * 10, 0.0),
        ([10.0] * 30, 0.0),
        ([10.0, 20.0], 0.0),
    ],
)
def test_drift_is_that_of_the_thirds_and_only_when_monotone(medians, expected):
    assert statistics.drift(np.array(medians)) == pytest.approx(expected)


def test_identical_needs_two_equal_samples():
    assert statistics.identical([[1.5, 1.5], [1.5]])
    assert not statistics.identical([[1.5]])
    assert not statistics.identical([[1.5, 1.5], [1.5000001]])


def test_paired_ratio_ignores_what_slows_both_alike():
    mood = np.linspace(1.0, 2.0, 30)
    first, second = 10 * mood, 10.3 * mood
    low, high = statistics.ratio_interval(first, second, paired=True)
    assert low == pytest.approx(1.03)
    assert high == pytest.approx(1.03)
    low, high = statistics.ratio_interval(first, second, paired=False)
    assert low < 1.0 < 1.06 < high
