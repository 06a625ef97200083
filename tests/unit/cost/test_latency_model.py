"""A latency predictor on networks whose kernels' times are known by construction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache

import numpy as np
import pytest
from tests.fitted import fitted_profile
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.cost import op_table
from edgewise.cost.count import count
from edgewise.cost.kernel_table import KernelTable, table_of
from edgewise.cost.latency_features import FLAGS, KINDS, NAMES, flags_of, group_of, sizes_of
from edgewise.cost.latency_fit import LatencyFit
from edgewise.cost.latency_model import Fit
from edgewise.cost.latency_predictor import Predictor
from edgewise.cost.micro_networks import micro_network
from edgewise.records.cost import KernelCost
from edgewise.records.latency_profile import LatencyProfile, Sample

NUM_FITTED, NUM_JUDGED = 100, 40
CONSTANT_US = 12.0


@cache
def kernels(seed: int) -> tuple[KernelCost, ...]:
    network = micro_network(seed)
    return count(fuse(network.model), network.img_size, fusion="onnxruntime").kernels


def time_us(kernel: KernelCost) -> float:
    """A machine that is slower where few channels are written, and at depthwise windows."""
    group = group_of(kernel)
    if group is None:
        return 0.0
    rate = {"conv": 60e3, "pointwise": 50e3, "depthwise": 8e3, "linear": 10e3}.get(group, 20e3)
    outputs = 2 ** sizes_of(kernel)[NAMES.index("outputs")]
    arithmetic = kernel.macs / (rate * min(1.0, outputs / 64) ** 0.3)
    return 0.8 + arithmetic + (kernel.read_bytes + kernel.written_bytes + kernel.weight_bytes) / 15e3


def latency_us(seed: int) -> float:
    noise = np.random.default_rng(seed).normal(0, 0.01)
    return (CONSTANT_US + sum(map(time_us, kernels(seed)))) * math.exp(noise)


@pytest.fixture(scope="module")
def profile() -> LatencyProfile:
    seeds = range(NUM_FITTED)
    # half of them while the machine is twice as slow: the reference kernel tells
    slow = [1.0 + seed % 2 for seed in seeds]
    samples = [
        Sample(seed=seed, latency_ms=latency_us(seed) / 1e3 * factor, reference_ms=0.1 * factor)
        for seed, factor in zip(seeds, slow, strict=True)
    ]
    return fitted_profile(samples, [kernels(seed) for seed in seeds], fusion="onnxruntime")


def test_networks_that_it_has_not_seen_are_predicted(profile) -> None:
    predictor = Predictor(profile)
    speed = profile.reference_ms / 0.1
    estimates = [predictor.estimate(kernels(seed)) for seed in range(NUM_FITTED, NUM_FITTED + NUM_JUDGED)]
    truth = [latency_us(seed) / 1e3 * speed for seed in range(NUM_FITTED, NUM_FITTED + NUM_JUDGED)]
    errors = [abs(each.latency_ms / wanted - 1) for each, wanted in zip(estimates, truth, strict=True)]
    assert float(np.median(errors)) < 0.06
    inside = [each.low_ms <= wanted <= each.high_ms for each, wanted in zip(estimates, truth, strict=True)]
    assert 0.75 <= float(np.mean(inside)) <= 1.0
    assert profile.median_error < 0.08


def test_the_parts_add_up(profile) -> None:
    estimate = Predictor(profile).estimate(kernels(NUM_FITTED))
    assert estimate.low_ms < estimate.latency_ms < estimate.high_ms
    whole = profile.corrections.constant_us / 1e3 + sum(estimate.kernels_ms)
    assert estimate.latency_ms == pytest.approx(whole)
    assert sum(estimate.by_group_ms.values()) == pytest.approx(sum(estimate.kernels_ms))
    assert len(estimate.kernels_ms) == len(kernels(NUM_FITTED))


def test_derivatives_are_those_of_the_totals() -> None:
    networks = [kernels(seed) for seed in range(12)]
    table = table_of(networks)
    fit = Fit(table, [latency_us(seed) for seed in range(12)])
    prepared = fit._prepared(table)
    totals, slopes = fit._totals(prepared, 12, fit.parameters)
    rng = np.random.default_rng(0)
    for at in rng.choice(len(fit.parameters), 40, replace=False):
        moved = fit.parameters.copy()
        moved[at] += 1e-5
        after, _ = fit._totals(prepared, 12, moved)
        np.testing.assert_allclose((after - totals) / 1e-5, slopes[:, at], rtol=1e-3, atol=1e-3 * totals.max())


def test_what_was_not_sampled_is_named(profile) -> None:
    known = next(each for seed in range(50) for each in kernels(seed) if each.kind == "pointwise")
    huge = known.model_copy(
        update={"module": "far.away", "in_shapes": ((1, 60_000, 7, 7),), "weight_shape": (8, 60_000, 1, 1)}
    )
    estimate = Predictor(profile).estimate([known, huge])
    assert [(each.module, each.kind) for each in estimate.outside] == [("far.away", "pointwise")]
    assert estimate.outside[0].why.startswith("inputs 6e+04, sampled ")
    few = profile.model_copy(update={"kernels": ()})
    (unpriced,) = Predictor(few).estimate([known]).outside
    assert unpriced.why == "none of its kind was sampled; it is not priced"


def fitted(seeds: Iterable[int], *, slow: Mapping[int, float] | None = None) -> LatencyFit:
    latencies = np.array([latency_us(seed) * (slow or {}).get(seed, 1.0) for seed in seeds])
    return LatencyFit(table(seeds), latencies, by_kernel=False)


def table(seeds: Iterable[int]) -> KernelTable:
    return table_of([kernels(seed) for seed in seeds])


def test_a_disturbed_sample_bends_little() -> None:
    seeds, others = range(NUM_FITTED), table(range(100, 130))
    disturbed, clean = (fitted(seeds, slow=slow).predicted(others)[0] for slow in ({7: 3.0}, {}))
    assert float(np.median(np.abs(disturbed / clean - 1))) < 0.03


def test_it_is_least_sure_of_what_it_has_not_seen() -> None:
    plain = [seed for seed in range(120) if all(group_of(each) not in ("matmul", "softmax") for each in kernels(seed))]
    attention = [seed for seed in range(120) if any(group_of(each) == "matmul" for each in kernels(seed))]
    fit = fitted([*plain[:50], attention[0]])
    _, unsure = fit.predicted(table(attention[1:6]))
    _, sure = fit.predicted(table(plain[50:60]))
    assert float(np.median(unsure)) > float(np.median(sure))
    _, blind = fitted(plain[:50]).predicted(table(attention[:1]))
    assert np.isinf(blind).all()


def test_a_linear_layer_has_its_weights_inputs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 24, 8), nn.Flatten(), nn.Linear(24, 10)).eval()
    found = count(network, 8, fusion="onnxruntime-nchw16c").kernels
    (linear,) = (each for each in found if each.kind == "linear")
    assert sizes_of(linear)[:3] == pytest.approx((math.log2(24), math.log2(10), 0.0))


def test_every_kind_that_costs_has_a_group() -> None:
    assert {kind for kind in op_table.KINDS.values() if kind not in ("view", "constant", "check")} <= KINDS


@pytest.mark.parametrize("seed", range(6))
def test_sizes_are_numbers(seed: int) -> None:
    for kernel in kernels(seed):
        assert len(sizes_of(kernel)) == len(NAMES)
        assert all(math.isfinite(size) and size >= 0 for size in sizes_of(kernel))
        assert len(flags_of(kernel)) == len(FLAGS)
