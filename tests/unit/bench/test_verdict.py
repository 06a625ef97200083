import numpy as np
import pytest

from edgewise.bench.verdict import Contention, judge


def series(*levels, spread=0.004, blocks=30, calls=5, seed=0):
    """Blocks around each of ``levels`` in turn; ``blocks`` in all."""
    rng = np.random.default_rng(seed)
    per_level = np.repeat(levels, blocks // len(levels))
    return (per_level[:, None] * (1 + spread * rng.standard_normal((len(per_level), calls)))).tolist()


def test_a_quiet_series_is_trusted_without_a_reason():
    judgement = judge(series(10.0), checksums=[["a"] * 15, ["b"] * 15], launch_sizes=(15, 15))
    assert (judgement.verdict, judgement.reason) == ("trusted", "")


def test_a_drifting_series_is_rejected():
    judgement = judge(series(10.0, 10.3, 10.6))
    assert judgement.verdict == "rejected"
    assert judgement.reason == "times drift by +6% from the first third to the last (limit 5%)"
    assert judgement.passing


def test_a_small_drift_is_not_rejected():
    assert judge(series(10.0, 10.1, 10.2)).verdict == "trusted"


def test_blocks_that_vary_are_noisy_and_then_rejected():
    rng = np.random.default_rng(3)
    wave = np.where(np.arange(30) % 2 == 0, 1.0, -1.0)[:, None]
    small = (10 * (1 + 0.07 * wave) + 0.01 * rng.standard_normal((30, 5))).tolist()
    large = (10 * (1 + 0.12 * wave) + 0.01 * rng.standard_normal((30, 5))).tolist()
    assert judge(small).verdict == "noisy"
    assert "blocks vary by 7.1% (limit 5%)" in judge(small).reason
    assert judge(large).verdict == "rejected"
    assert "blocks vary by 12% (limit 10%)" in judge(large).reason


def test_a_wide_interval_is_noisy():
    judgement = judge(series(10.0, spread=0.09, calls=1, seed=1))
    assert judgement.verdict == "noisy"
    assert judgement.reason.startswith("the median is known to ±")


def test_too_few_blocks_are_noisy():
    judgement = judge(series(10.0, blocks=12))
    assert judgement.verdict == "noisy"
    assert judgement.reason == "only 12 of 30 blocks fitted into the time given"


def test_identical_times_are_rejected_for_good():
    judgement = judge([[2.5] * 5] * 30)
    assert (judgement.verdict, judgement.passing) == ("rejected", False)
    assert judgement.reason == "all times are identical to the bit"


def test_a_changed_output_is_rejected_for_good():
    judgement = judge(series(10.0), checksums=[["a"] * 29 + ["b"]])
    assert (judgement.verdict, judgement.passing) == ("rejected", False)
    assert judgement.reason == "the output changed between blocks on the same input"


@pytest.mark.parametrize(
    ("contention", "verdict", "reason"),
    [
        (Contention(cpu_share=0.55), "rejected", "other processes took the core: it was ours 55% of the time"),
        (Contention(cpu_share=0.97), "trusted", ""),
        (Contention(others_on_cores=0.5), "rejected", "other processes used 50% of the cores measured on"),
        (Contention(others_on_cores=0.1), "trusted", ""),
        (Contention(others_on_machine=0.5), "noisy", "other processes used 50% of the machine"),
        (Contention(others_on_machine=0.3), "trusted", ""),
    ],
)
def test_contention_decides(contention, verdict, reason):
    judgement = judge(series(10.0), contention=contention)
    assert (judgement.verdict, judgement.reason) == (verdict, reason)
    assert judgement.passing == (verdict == "rejected")


def steps(values, noise=0.003, seed=0):
    rng = np.random.default_rng(seed)
    return np.asarray(values) * (1 + noise * rng.standard_normal(len(values)))


def test_a_machine_that_changes_its_clock_is_named_and_not_rejected():
    speed = np.repeat([0.25, 0.20], 15)
    judgement = judge(series(10.0, 8.0), reference_ms=steps(speed))
    assert judgement.verdict == "noisy"
    assert judgement.reason.startswith("the machine became 1.25x faster after block 15; ")


def test_a_file_that_changes_alone_is_rejected_and_named():
    judgement = judge(series(10.0, 8.0), reference_ms=steps(np.full(30, 0.2)))
    assert (judgement.verdict, judgement.passing) == ("rejected", True)
    assert judgement.reason.endswith(
        "the file became 1.25x faster after block 15 while the reference kernel kept its pace"
    )


def test_a_reference_that_wanders_alone_excuses_nothing():
    assert judge(series(10.0, 8.0), reference_ms=steps(np.repeat([0.2, 0.25], 15))).verdict == "rejected"


def test_a_hog_is_rejected_though_the_reference_feels_it_too():
    judgement = judge(
        series(10.0, 20.0), reference_ms=steps(np.repeat([0.2, 0.4], 15)), contention=Contention(cpu_share=0.6)
    )
    assert judgement.verdict == "rejected"
    assert judgement.reason.startswith("other processes took the core")
