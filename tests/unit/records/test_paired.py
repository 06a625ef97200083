"""The fall of top-1, paired: numbers worked out by others, and what an interval must do."""

from __future__ import annotations

import math

import pytest

from edgewise.records.paired import PairedTop1, drop_interval, mcnemar_p


def test_the_numbers_of_a_published_example() -> None:
    """Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness of 21 children before and after a transplantation."""
    low, high = drop_interval(1, 7, 21)
    assert (low, high) == (pytest.approx(-0.508, abs=5e-4), pytest.approx(-0.013, abs=5e-4))
    assert mcnemar_p(1, 7) == pytest.approx(0.0703, abs=5e-5)


@pytest.mark.parametrize(("lost", "gained"), [(0.02, 0.02), (0.05, 0.01), (0.15, 0.05)])
def test_the_interval_holds_the_true_fall_95_times_in_100(lost: float, gained: float) -> None:
    """Exact, over everything that 100 images can answer."""
    num, covered = 100, 0.0
    for model_only in range(num + 1):
        for file_only in range(num + 1 - model_only):
            rest = num - model_only - file_only
            chance = math.comb(num, model_only) * math.comb(num - model_only, file_only)
            chance *= lost**model_only * gained**file_only * (1 - lost - gained) ** rest
            low, high = drop_interval(model_only, file_only, num)
            covered += chance * (low <= lost - gained <= high)
    assert 0.94 < covered < 0.995


def test_equal_answers_leave_a_doubt_that_shrinks_with_more_images() -> None:
    few, many = drop_interval(0, 0, 100)[1], drop_interval(0, 0, 10_000)[1]
    assert few > 0.02
    assert 0 < many < 0.001
    assert drop_interval(0, 0, 100)[0] == -few
    assert drop_interval(3, 0, 3) == (pytest.approx(0.0, abs=0.25), 1.0)


@pytest.mark.parametrize(
    ("model_only", "file_only", "p_value"), [(0, 0, 1.0), (5, 5, 1.0), (10, 0, 2 / 1024), (0, 1, 1.0), (4, 1, 0.375)]
)
def test_p_values(model_only: int, file_only: int, p_value: float) -> None:
    assert mcnemar_p(model_only, file_only) == pytest.approx(p_value)
    assert mcnemar_p(file_only, model_only) == pytest.approx(p_value)


def test_thousands_of_differing_answers_are_no_trouble() -> None:
    assert mcnemar_p(3000, 1000) < 1e-200


def test_counts_become_a_fall() -> None:
    paired = PairedTop1.counted(both=880, model_only=20, file_only=12, neither=88)
    assert (paired.num_images, paired.drop) == (1000, pytest.approx(0.008))
    assert paired.drop_low < 0 < paired.drop < paired.drop_high < 0.02


@pytest.mark.parametrize(
    ("model_only", "file_only", "within", "settles"),
    [(0, 0, True, True), (8, 0, True, False), (10, 0, True, False), (11, 0, False, False), (40, 2, False, True)],
)
def test_a_limit_of_one_point_on_a_thousand_images(
    model_only: int, file_only: int, within: bool, settles: bool
) -> None:
    paired = PairedTop1.counted(
        both=900, model_only=model_only, file_only=file_only, neither=100 - model_only - file_only
    )
    assert (paired.within(0.01), paired.settles(0.01)) == (within, settles)
