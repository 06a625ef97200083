from types import SimpleNamespace

import pytest

from edgewise.train import budget
from edgewise.train.budget import Pace, affordable_steps, steps_within


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=50.0)
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: clock.now, perf_counter=lambda: clock.now))
    return clock


def run(pace, clock, num_steps, seconds):
    for _ in range(num_steps):
        clock.now += seconds
        pace.count_step()


def test_a_steady_pace_is_what_it_is_and_validations_are_left_out(clock):
    pace = Pace()
    run(pace, clock, 10, 0.5)
    clock.now += 30
    pace.leave_out(30)
    run(pace, clock, 40, 0.5)
    assert pace.step_s == pytest.approx(0.5)


def test_a_slower_machine_is_seen_within_twenty_steps_and_a_faster_one_believed_slowly(clock):
    pace = Pace()
    run(pace, clock, 100, 0.5)
    run(pace, clock, 20, 2.0)
    assert pace.step_s == pytest.approx(2.0)
    run(pace, clock, 20, 0.1)
    assert pace.step_s == pytest.approx((50 + 40 + 2) / 140)


@pytest.mark.parametrize(("left", "step_s", "eval_s", "every"), [(100, 0.5, 4, 10), (9, 1, 2, 3), (30, 0.1, 0, 5)])
def test_the_steps_fit_with_all_their_validations_and_two_more_rounds_would_not(left, step_s, eval_s, every):
    steps = steps_within(left, step_s, eval_s, every)

    def needed(num_steps):
        return num_steps * step_s + (num_steps // every + 1) * eval_s

    assert needed(steps) <= left + 1e-9
    assert needed(steps + 2 * every) > left


@pytest.mark.parametrize("left", [-5.0, 0.0, 3.0])
def test_no_time_for_a_step_beside_the_last_validation_means_none(left):
    assert steps_within(left, 1.0, 3.0, 4) == 0


def test_a_first_plan_has_at_least_one_step():
    assert affordable_steps(1.0, 10.0, 5.0, 3) == 1
    assert affordable_steps(100.0, 1.0, 2.0, 3) == 90


@pytest.mark.parametrize(("steps", "whole"), [(29, 29), (30, 30), (32, 30), (35, 33), (0, 0)])
def test_long_runs_end_with_an_epoch(steps, whole):
    assert budget.whole_epochs(steps, 3) == whole
