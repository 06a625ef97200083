import numpy as np
import pytest

from edgewise.bench.compare import compare
from edgewise.records.environment import capture_environment
from edgewise.records.measurement import MachineSpeed, Measurement

ENVIRONMENT = capture_environment()


def measurement(name, medians, *, verdict="trusted", reason="", environment=ENVIRONMENT, launch_sizes=()):
    medians = tuple(float(value) for value in medians)
    middle = float(np.median(medians))
    return Measurement(
        name=name,
        runtime="onnxruntime",
        format="onnx",
        precision="fp32",
        threads=1,
        batch=1,
        input_shape=(1, 3, 32, 32),
        latency_ms=middle,
        ci_low_ms=middle,
        ci_high_ms=middle,
        p90_ms=None,
        min_ms=min(medians),
        images_per_s=1e3 / middle,
        load_ms=1.0,
        peak_rss_bytes=1,
        file_bytes=1,
        verdict=verdict,
        reason=reason,
        block_medians_ms=medians,
        samples_ms=tuple((value,) for value in medians),
        launch_sizes=launch_sizes,
        environment=environment,
    )


def pair(seed, factor, noise=0.01):
    """Two interleaved series on a machine whose speed wanders by some 10 %."""
    rng = np.random.default_rng(seed)
    mood = 1 + np.cumsum(0.02 * rng.standard_normal(30))
    a, b = (10 * mood * (1 + noise * rng.standard_normal(30)) for _ in range(2))
    return measurement("a.onnx", a), measurement("b.onnx", factor * b)


def moody_pair(seed, factor, launches, environments=(ENVIRONMENT, ENVIRONMENT)):
    """Processes with a speed of their own, of which the one started first is 2 % slower; the order of starts alternates."""
    rng = np.random.default_rng(seed)
    sizes = (30 // launches,) * launches
    series = []
    for place in (0, 1):
        first = np.array([0.02 * (launch % 2 == place) for launch in range(launches)])
        own = np.repeat(1 + first + 0.006 * rng.standard_normal(launches), sizes[0])
        series.append(10 * own * (1 + 0.01 * rng.standard_normal(30)))
    a, b = (
        measurement(name, values, launch_sizes=sizes, environment=environment)
        for name, values, environment in zip("ab", (series[0], factor * series[1]), environments, strict=True)
    )
    return a, b


def outcomes(*settings, **more):
    return [compare(*moody_pair(seed, *settings, **more)).outcome for seed in range(100)]


def test_what_differs_between_processes_raises_no_alarm_and_hides_no_3_percent():
    assert sum(outcome != "no difference shown" for outcome in outcomes(1.0, 6)) <= 5
    assert outcomes(1.03, 6).count("slower") >= 95


def test_apart_processes_count_too():
    later = ENVIRONMENT.model_copy(update={"captured_at": "2001-01-01T00:00:00+00:00"})
    assert sum(outcome != "no difference shown" for outcome in outcomes(1.0, 6, environments=(ENVIRONMENT, later))) <= 5
    assert outcomes(1.05, 6, environments=(ENVIRONMENT, later)).count("slower") >= 95


def test_one_process_each_never_shows_a_difference_below_2_percent():
    one = compare(measurement("a", np.full(30, 10.0)), measurement("b", np.full(30, 10.19)))
    assert (one.outcome, one.ratio) == ("no difference shown", pytest.approx(1.019))
    assert compare(measurement("a", np.full(30, 10.0)), measurement("b", np.full(30, 10.21))).outcome == "slower"


def test_the_same_thing_twice_raises_an_alarm_in_at_most_five_of_a_hundred():
    alarms = sum(compare(*pair(seed, 1.0)).outcome != "no difference shown" for seed in range(100))
    assert alarms <= 5


def test_a_noisy_machine_raises_no_more_alarms():
    comparisons = [compare(*pair(seed, 1.0, noise=0.08)) for seed in range(100)]
    assert sum(abs(one.ratio - 1) > 0.01 for one in comparisons) > 20
    assert sum(one.outcome != "no difference shown" for one in comparisons) <= 8


def test_three_percent_are_found_in_at_least_95_of_a_hundred():
    found = sum(compare(*pair(seed, 1.03)).outcome == "slower" for seed in range(100))
    assert found >= 95


def test_faster_slower_and_the_sentence():
    slower = compare(*pair(0, 1.2, noise=1e-5))
    assert slower.outcome == "slower"
    assert slower.ratio == pytest.approx(1.2, abs=0.001)
    assert slower.ci_low <= slower.ratio <= slower.ci_high
    assert slower.text == "b.onnx is slower than a.onnx (+20.0%, 95 % interval +20.0% to +20.0%)"
    assert compare(*pair(0, 0.8)).outcome == "faster"


def test_less_than_one_percent_is_never_called_a_difference():
    comparison = compare(*pair(0, 1.005, noise=1e-5))
    assert comparison.outcome == "no difference shown"
    assert comparison.text.startswith("no difference shown between b.onnx and a.onnx (+0.5%")


def test_sets_taken_apart_are_not_paired():
    a, b = pair(0, 1.2)
    later = ENVIRONMENT.model_copy(update={"made_at": "2030-01-01T00:00:00+00:00"})
    apart = compare(a, b.model_copy(update={"environment": later}))
    assert compare(a, b).basis == "interleaved"
    assert apart.basis == "raw"
    assert apart.ci_high - apart.ci_low > compare(a, b).ci_high - compare(a, b).ci_low


def test_a_rejected_one_is_not_compared():
    a, b = pair(0, 2.0)
    bad = a.model_copy(update={"verdict": "rejected", "reason": "blocks vary"})
    comparison = compare(bad, b)
    assert comparison.outcome == "not comparable"
    assert comparison.text == "b.onnx and a.onnx are not comparable: a.onnx was rejected (blocks vary)"


KERNEL = "numpy float32 matmul"


def at_speed(one, speed, kernel=KERNEL, made_at="2026-01-01T00:00:00"):
    """The same measurement with blocks ``speed`` times as slow, and the reference kernel as well."""
    return measurement(
        one.name,
        [speed * block for block in one.block_medians_ms],
        environment=ENVIRONMENT.model_copy(update={"made_at": made_at}),
    ).model_copy(update={"speed": MachineSpeed(kernel=kernel, times_ms=(0.2 * speed,) * 30, change="")})


def test_measured_apart_the_machines_speed_cancels_out():
    a, b = pair(0, 1.0, noise=0.003)
    slow = at_speed(b, 1.27, made_at="2026-01-02T00:00:00")
    comparison = compare(at_speed(a, 1.0), slow)
    assert (comparison.basis, comparison.outcome) == ("normalised", "no difference shown")
    assert comparison.text.endswith("measured apart, at the machine's speed of each moment)")
    assert compare(a, slow.model_copy(update={"speed": None})).outcome == "slower"


def test_a_real_difference_shows_though_the_machine_was_faster():
    a, b = pair(0, 1.1, noise=0.003)
    comparison = compare(at_speed(a, 1.27), at_speed(b, 1.0, made_at="2026-01-02T00:00:00"))
    assert comparison.outcome == "slower"
    assert comparison.ratio == pytest.approx(1.1, rel=0.03)


def test_another_kernel_or_processor_is_compared_raw():
    a, b = pair(0, 1.0)
    late = at_speed(b, 1.0, made_at="2026-01-02T00:00:00")
    assert compare(at_speed(a, 1.0), late).basis == "normalised"
    assert compare(at_speed(a, 1.0, kernel="another"), late).basis == "raw"
    elsewhere = late.model_copy(update={"environment": late.environment.model_copy(update={"cpu": "another"})})
    assert compare(at_speed(a, 1.0), elsewhere).basis == "raw"


def test_normalised_latency_is_that_at_one_speed():
    a, _ = pair(0, 1.0, noise=0.0)
    fast, slow = at_speed(a, 1.0), at_speed(a, 1.5)
    assert slow.normalised_ms() == pytest.approx(1.5 * fast.normalised_ms())
    assert slow.normalised_ms(0.2) == pytest.approx(fast.normalised_ms(0.2))
    assert a.normalised_ms() is None
    assert a.in_reference_units is None
