import math
from itertools import pairwise

import pytest

from edgewise.train.schedule import make_plan


def plan(**changed):
    return make_plan(**{"epochs": 10, "steps_per_epoch": 10, "warmup_epochs": 2} | changed)


def test_warm_up_is_linear_and_reaches_the_peak_where_it_ends():
    ratios = [plan().lr_ratio(step, 0.0) for step in range(20)]
    assert ratios == pytest.approx([(step + 0.5) / 20 for step in range(20)], rel=1e-12)
    assert plan().lr_ratio(20, 0.0) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_the_cosine_falls_all_the_way_and_ends_at_its_floor(floor):
    ratios = [plan().lr_ratio(step, floor) for step in range(20, 100)]
    assert all(before > after for before, after in pairwise(ratios))
    share = (59 + 0.5 - 20) / 80
    assert ratios[39] == pytest.approx(floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share)), rel=1e-12)
    assert floor <= ratios[-1] < floor + 1e-3


def test_no_warm_up_starts_at_the_peak():
    assert plan(warmup_epochs=0).lr_ratio(0, 0.0) > 0.999


def test_warm_up_takes_at_most_half_of_a_short_run():
    short = plan(epochs=2, warmup_epochs=5)
    assert short.warmup_share == 0.5
    assert max(range(20), key=lambda step: short.lr_ratio(step, 0.0)) in {9, 10}


@pytest.mark.parametrize("step", [5, 20, 50, 98])
@pytest.mark.parametrize("total", [100, 60, 300])
def test_a_new_plan_goes_on_where_the_old_one_was(step, total):
    old = plan()
    new = old.replanned(step, max(total, step + 1))
    assert new.progress(step) == old.progress(step)
    assert new.progress(new.total_steps) == 1.0
    progress = [new.progress(at) for at in range(step, new.total_steps + 1)]
    assert all(before < after for before, after in pairwise(progress))
    longest = max(1 / 100, (1 - old.progress(step)) / (new.total_steps - step))
    # a step moves the rate by no more than the steepest part of warm-up or cosine allows
    assert abs(new.lr_ratio(step, 0.0) - old.lr_ratio(step - 1, 0.0)) <= max(1 / 0.2, math.pi / 1.6) * 1.5 * longest


def test_replanning_twice_and_ending_at_once_stay_in_range():
    twice = plan().replanned(30, 200).replanned(100, 100)
    assert twice.progress(100) == plan().replanned(30, 200).progress(100)
    assert 0.0 <= twice.lr_ratio(100, 0.0) <= 1.0


def test_a_given_number_of_steps_wins_over_the_epochs():
    assert plan(total_steps=37).total_steps == 37
    assert plan().total_steps == 100
