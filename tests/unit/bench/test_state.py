import numpy as np
import pytest

from edgewise.bench.reference import ReferenceKernel
from edgewise.bench.state import MIN_SIDE, find_step


def level(*parts, noise=0.01, seed=0):
    """Times that hold ``(value, blocks)`` one after the other."""
    rng = np.random.default_rng(seed)
    return np.concatenate([value * (1 + noise * rng.standard_normal(blocks)) for value, blocks in parts])


@pytest.mark.parametrize("after", [MIN_SIDE, 10, 17, 26])
@pytest.mark.parametrize("ratio", [1.27, 1 / 1.27])
def test_a_step_is_found_where_it_is_with_its_size(after, ratio):
    for seed in range(20):
        step = find_step(level((6.2, after), (6.2 * ratio, 30 - after), noise=0.02, seed=seed))
        assert step is not None
        assert step.after_block == after
        assert step.ratio == pytest.approx(ratio, rel=0.05)


def test_it_says_how_much_and_when():
    assert find_step(level((5.0, 12), (4.0, 18))).text == "1.25x faster after block 12"
    assert find_step(level((4.0, 12), (5.0, 18))).text == "1.25x slower after block 12"


def test_steady_times_hold_no_step():
    found = sum(
        find_step(level((6.2, 30), noise=noise, seed=seed)) is not None
        for noise in (0.005, 0.03, 0.1)
        for seed in range(300)
    )
    assert found <= 3


def test_a_few_slow_blocks_are_no_state():
    times = level((6.0, 30))
    times[20:23] *= 1.5
    assert find_step(times) is None


def test_a_small_step_is_none():
    assert find_step(level((6.0, 15), (6.2, 15), noise=0.001)) is None


def test_too_few_blocks_hold_none():
    assert find_step([1.0] * (2 * MIN_SIDE - 1)) is None
    assert find_step([]) is None


def test_the_reference_kernel_takes_time_and_repeats():
    kernel = ReferenceKernel()
    times = [kernel.time_ms() for _ in range(20)]
    assert min(times) > 0.01
    assert len(set(times)) > 1
