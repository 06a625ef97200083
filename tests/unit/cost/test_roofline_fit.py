import numpy as np
import pytest
from tests.unit.cost.test_roofline import kernel, report

from edgewise.cost.roofline_fit import RooflineFit, fit_roofline, left_out_latencies

TRUTH = RooflineFit(28.0, (1e-8, 4e-8, 2e-6, 0.002, 0.3))


def networks(num, seed=0):
    """Random networks of dense and depthwise kernels, some with GELU."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(num):
        kernels = []
        for _ in range(int(rng.integers(20, 120))):
            dense = kernel(int(rng.integers(1e5, 5e7)), int(rng.integers(1e3, 1e6)), 50_000, 50_000)
            side = int(rng.integers(2e3, 4e5))
            thin = kernel(int(rng.integers(1e4, 2e7)), 2_000, side, side, kind="depthwise")
            ops = ("1_convolution", "2_gelu") if number % 3 == 0 else ("1_convolution",)
            kernels += [dense.model_copy(update={"ops": ops}), thin]
        found.append(report(*kernels))
    return found


def test_a_device_that_follows_the_model_is_found_again():
    reports = networks(16)
    latencies = [TRUTH.latency_ms(each) for each in reports]
    fit = fit_roofline(reports, latencies)
    assert fit.ridge_point == 28.0
    assert fit.weights == pytest.approx(TRUTH.weights, rel=1e-3)
    assert (fit.macs_per_s, fit.depthwise_macs_per_s) == (
        pytest.approx(1e11, rel=1e-3),
        pytest.approx(2.5e10, rel=1e-3),
    )
    assert left_out_latencies(reports[:7], latencies[:7]) == pytest.approx(latencies[:7], rel=1e-3)


def test_one_wild_latency_does_not_bend_the_others():
    reports = networks(16)
    latencies = [TRUTH.latency_ms(each) for each in reports]
    fit = fit_roofline(reports, [latencies[0] * 3, *latencies[1:]])
    errors = [abs(fit.latency_ms(each) / ms - 1) for each, ms in zip(reports[1:], latencies[1:], strict=True)]
    assert np.median(errors) < 0.05


def test_weights_are_never_negative():
    reports = networks(12, seed=1)
    latencies = np.random.default_rng(2).uniform(1, 10, len(reports)).tolist()
    assert min(fit_roofline(reports, latencies).weights) >= 0


def test_a_term_that_no_model_has_weighs_nothing():
    plain = [report(*(each.model_copy(update={"ops": ()}) for each in net.kernels)) for net in networks(12)]
    assert fit_roofline(plain, [TRUTH.latency_ms(each) for each in plain]).weights[2] == 0.0


def test_too_few_models_are_refused():
    with pytest.raises(ValueError, match="5 models cannot settle 5 terms"):
        fit_roofline(networks(5), [1.0] * 5)
