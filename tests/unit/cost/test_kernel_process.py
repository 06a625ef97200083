"""A latency predictor on networks whose kernels were timed one by one, their times known by construction."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from tests.fitted import fitted_profile

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.kernel_process import fit_processes
from edgewise.cost.kernel_table import KernelTable, table_of
from edgewise.cost.latency_features import group_of
from edgewise.cost.latency_predictor import Predictor
from edgewise.cost.micro_networks import micro_network
from edgewise.records.cost import KernelCost
from edgewise.records.latency_profile import LatencyProfile, Sample
from edgewise.records.op_time import OpTime

NUM_FITTED, NUM_JUDGED = 60, 20
CALL_US, KERNEL_US, FACTOR = 12.0, 0.5, 1.05
RUN_AS = {
    **dict.fromkeys(("conv", "pointwise", "depthwise", "grouped"), "Conv"),
    **dict.fromkeys(("linear", "matmul", "attention"), "MatMul"),
    "reorder": "ReorderInput",
    "elementwise": "Add",
    "activation": "Gelu",
    "reduce": "ReduceMean",
    "pool": "MaxPool",
    "norm": "LayerNormalization",
    "softmax": "Softmax",
    "resize": "Resize",
}


@cache
def kernels(seed: int) -> tuple[KernelCost, ...]:
    network = micro_network(seed)
    return count(fuse(network.model), network.img_size, fusion="onnxruntime-nchw16c").kernels


def time_us(kernel: KernelCost) -> float:
    """Under the profiler, of a machine on which a strided kernel costs half as much again."""
    if group_of(kernel) is None:
        return 0.0
    moved = kernel.read_bytes + kernel.written_bytes + kernel.weight_bytes
    return (0.8 + kernel.macs / 40e3 + moved / 15e3) * (1.5 if any(step > 1 for step in kernel.stride) else 1.0)


def times_us(seed: int) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, 0.05, len(kernels(seed)))
    return [time_us(kernel) * math.exp(each) for kernel, each in zip(kernels(seed), noise, strict=True)]


def latency_us(seed: int) -> float:
    priced = [time for time in times_us(seed) if time]
    noise = np.random.default_rng(1000 + seed).normal(0, 0.01)
    return (CALL_US + KERNEL_US * len(priced) + FACTOR * sum(priced)) * math.exp(noise)


def sample(seed: int) -> Sample:
    # half of them while the machine is twice as slow: the reference kernel tells
    slow = 1.0 + seed % 2
    ops = tuple(
        OpTime(op=RUN_AS.get(kernel.kind, "Transpose"), numel=math.prod(kernel.out_shape), us=time * slow)
        for kernel, time in zip(kernels(seed), times_us(seed), strict=True)
        if time
    )
    return Sample(seed=seed, latency_ms=latency_us(seed) / 1e3 * slow, reference_ms=0.1 * slow, ops=ops)


@pytest.fixture(scope="module")
def profile() -> LatencyProfile:
    seeds = range(NUM_FITTED)
    return fitted_profile(
        [sample(seed) for seed in seeds], [kernels(seed) for seed in seeds], fusion="onnxruntime-nchw16c"
    )


def test_networks_that_it_has_not_seen_are_predicted(profile) -> None:
    predictor, speed = Predictor(profile), profile.reference_ms / 0.1
    judged = range(NUM_FITTED, NUM_FITTED + NUM_JUDGED)
    estimates = [predictor.estimate(kernels(seed)) for seed in judged]
    truth = [latency_us(seed) / 1e3 * speed for seed in judged]
    errors = [abs(each.latency_ms / wanted - 1) for each, wanted in zip(estimates, truth, strict=True)]
    assert float(np.median(errors)) < 0.07
    inside = [each.low_ms <= wanted <= each.high_ms for each, wanted in zip(estimates, truth, strict=True)]
    assert float(np.mean(inside)) >= 0.75
    assert profile.median_error < 0.1


def test_a_profile_holds_no_operators_and_no_sums(profile) -> None:
    assert profile.processes
    assert profile.kernels == ()
    assert all(each.ops == () for each in profile.samples)


def test_the_parts_add_up(profile) -> None:
    estimate = Predictor(profile).estimate(kernels(NUM_FITTED))
    assert estimate.low_ms < estimate.latency_ms < estimate.high_ms
    assert estimate.latency_ms == pytest.approx(profile.corrections.constant_us / 1e3 + sum(estimate.kernels_ms))
    assert sum(estimate.by_group_ms.values()) == pytest.approx(sum(estimate.kernels_ms))


def test_what_was_not_sampled_is_named(profile) -> None:
    known = next(each for seed in range(50) for each in kernels(seed) if group_of(each) == "pointwise in blocks")
    huge = known.model_copy(
        update={"module": "far.away", "in_shapes": ((1, 60_000, 7, 7),), "weight_shape": (8, 60_000, 1, 1)}
    )
    estimate = Predictor(profile).estimate([known, huge])
    assert [(each.module, each.kind) for each in estimate.outside] == [("far.away", "pointwise")]
    others = tuple(each for each in profile.processes if each.group != "pointwise in blocks")
    few = profile.model_copy(update={"processes": others})
    assert Predictor(few).unpriced([known]) == [known]
    (unpriced,) = Predictor(few).estimate([known]).outside
    assert unpriced.why == "none of its kind was sampled; it is not priced"


def timed_table(*, holed: bool = False) -> KernelTable:
    seeds = range(NUM_FITTED)
    times = [
        [time if time and not (holed and place % 7 == 3) else None for place, time in enumerate(times_us(seed))]
        for seed in seeds
    ]
    return table_of([kernels(seed) for seed in seeds], times)


def test_a_kernel_without_a_time_does_not_count() -> None:
    rows = timed_table().rows["pointwise in blocks"]
    whole, holed = (fit_processes(timed_table(holed=each))["pointwise in blocks"].logs(rows) for each in (False, True))
    assert float(np.median(np.abs(whole - holed))) < 0.05


def test_single_kernels_are_predicted() -> None:
    process = fit_processes(timed_table())["pointwise in blocks"]
    judged = table_of([kernels(seed) for seed in range(NUM_FITTED, NUM_FITTED + NUM_JUDGED)])
    rows = judged.rows["pointwise in blocks"]
    truth = [
        math.log(time_us(kernels(NUM_FITTED + int(network))[place]))
        for network, place in zip(rows.network, rows.place, strict=True)
    ]
    assert float(np.median(np.abs(process.logs(rows) - truth))) < 0.06
