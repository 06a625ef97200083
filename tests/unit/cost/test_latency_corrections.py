"""Corrections of kernel prices by the latencies of whole networks, against truths known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from edgewise.cost.kernel_table import KernelRows, KernelTable, Matrix
from edgewise.cost.latency_corrections import CALL, KERNEL_NOISE, NOISE, Corrector, _covariance
from edgewise.cost.latency_features import FLAGS, NAMES

NUM_TRAITS = len(NAMES) + 2
SPREAD = 0.3
CONSTANT_US = 10.0


def made_table(num_networks: int, seed: int, groups: tuple[str, ...] = ("a", "b")) -> KernelTable:
    rng = np.random.default_rng(seed)
    rows = {}
    for group in groups:
        network = np.sort(rng.integers(0, num_networks, 6 * num_networks))
        place = np.arange(len(network))
        traits = rng.normal(8, 2, (len(network), NUM_TRAITS))
        rows[group] = KernelRows(
            network, place, traits, np.zeros((len(network), len(FLAGS))), np.full(len(network), np.nan)
        )
    return KernelTable(num_networks, rows)


def prices(table: KernelTable) -> dict[str, Matrix]:
    return {group: 2 + 0.3 * np.sin(rows.traits[:, 0]) for group, rows in table.rows.items()}


def latencies(table: KernelTable, factors: dict[str, float]) -> Matrix:
    """Return the latency in µs of each network, were the price of each kernel to be multiplied by its group's factor."""
    times = {group: factors[group] * np.exp(own) for group, own in prices(table).items()}
    return CONSTANT_US + table.sums(times)


@pytest.fixture(scope="module")
def corrector() -> Corrector:
    table = made_table(40, seed=0)
    truth = latencies(table, {"a": 1.3, "b": 0.8})
    return Corrector.fitted(table, prices(table), CONSTANT_US, truth, SPREAD)


def test_what_a_group_is_off_by_is_found_from_sums_alone(corrector) -> None:
    judged = made_table(20, seed=1)
    found = corrector.corrected(judged, prices(judged))
    assert float(np.median(found.factors["a"])) == pytest.approx(1.3, rel=0.03)
    assert float(np.median(found.factors["b"])) == pytest.approx(0.8, rel=0.03)
    np.testing.assert_allclose(found.latency_us, latencies(judged, {"a": 1.3, "b": 0.8}), rtol=0.03)


def test_prices_that_are_right_stay() -> None:
    table, judged = made_table(40, seed=0), made_table(20, seed=1)
    fitted = Corrector.fitted(table, prices(table), CONSTANT_US, latencies(table, {"a": 1.0, "b": 1.0}), SPREAD)
    found = fitted.corrected(judged, prices(judged))
    assert max(np.abs(factors - 1).max() for factors in found.factors.values()) < 1e-6
    assert fitted.record.constant_us == pytest.approx(CONSTANT_US)


def test_a_call_that_costs_more_is_found() -> None:
    table = made_table(40, seed=0, groups=("a",))
    truth = latencies(table, {"a": 1.0}) + 2 * CONSTANT_US
    fitted = Corrector.fitted(table, prices(table), CONSTANT_US, truth, SPREAD)
    assert 1.5 * CONSTANT_US < fitted.record.constant_us < 4 * CONSTANT_US


def test_factors_and_doubts_are_those_of_the_joint_normal_distribution(corrector) -> None:
    """All kernels of both tables at once, as one normal vector of which the gaps are sums: conditioned in the plain way."""
    judged = made_table(5, seed=2)
    found = corrector.corrected(judged, prices(judged))
    record = corrector.record
    offset = 0
    sizes = [len(each.points) + len(judged.rows[each.group].network) for each in record.groups]
    prior = np.zeros((sum(sizes) + 1, sum(sizes) + 1))
    prior[-1, -1] = CALL**2
    weights, own_weights = np.zeros((40, len(prior))), np.zeros((5, len(prior)))
    weights[:, -1], own_weights[:, -1] = record.call_shares, record.constant_us / found.latency_us
    asked, noise, own_noise = {}, np.full(40, NOISE**2), np.full(5, NOISE**2)
    for each, size in zip(record.groups, sizes, strict=True):
        rows, num = judged.rows[each.group], len(each.points)
        low, high = np.array(each.low) - 0.5, np.array(each.high) + 0.5
        points = (np.clip(rows.traits, low, high) - each.centre) / each.scale
        everything = np.concatenate([np.array(each.points), points])
        prior[offset : offset + size, offset : offset + size] = _covariance(everything, everything, SPREAD)
        weights[each.networks, offset + np.arange(num)] = each.shares
        shares = found.factors[each.group] * np.exp(prices(judged)[each.group]) / found.latency_us[rows.network]
        own_weights[rows.network, offset + num + np.arange(size - num)] = shares
        noise += KERNEL_NOISE**2 * np.bincount(each.networks, np.array(each.shares) ** 2, 40)
        own_noise += KERNEL_NOISE**2 * np.bincount(rows.network, shares**2, 5)
        asked[each.group] = slice(offset + num, offset + size)
        offset += size
    of_gaps = weights @ prior @ weights.T + np.diag(noise)
    gain = prior @ weights.T @ np.linalg.inv(of_gaps)
    for group, part in asked.items():
        np.testing.assert_allclose(found.factors[group], np.exp(gain @ record.gaps)[part], rtol=1e-3)
    left = prior - gain @ weights @ prior
    variance = own_noise + np.einsum("np,pq,nq->n", own_weights, left, own_weights)
    np.testing.assert_allclose(found.sd, np.sqrt(variance), rtol=0.02)


def test_a_kernel_that_is_there_twice_is_one(corrector) -> None:
    once = made_table(1, seed=3, groups=("a",))
    rows = once.rows["a"]
    twice = np.repeat(np.arange(len(rows.network)), 2)
    table = KernelTable(
        1,
        {
            "a": KernelRows(
                rows.network[twice], np.arange(len(twice)), rows.traits[twice], rows.flags[twice], rows.times_us[twice]
            )
        },
    )
    half = {"a": prices(table)["a"] - np.log(2)}
    one, other = corrector.corrected(once, prices(once)), corrector.corrected(table, half)
    np.testing.assert_allclose(one.latency_us, other.latency_us)
    np.testing.assert_allclose(one.sd, other.sd)


def test_networks_like_those_that_were_timed_are_surest(corrector) -> None:
    near = made_table(20, seed=4)
    far = KernelTable(
        20,
        {
            group: KernelRows(rows.network, rows.place, rows.traits + 6.0, rows.flags, rows.times_us)
            for group, rows in near.rows.items()
        },
    )
    assert float(np.median(corrector.corrected(far, prices(near)).sd)) > 1.5 * float(
        np.median(corrector.corrected(near, prices(near)).sd)
    )


def test_a_disturbed_network_bends_little() -> None:
    table, judged = made_table(40, seed=0), made_table(20, seed=1)
    truth = latencies(table, {"a": 1.3, "b": 0.8})
    disturbed = truth * np.where(np.arange(40) == 11, 3.0, 1.0)
    clean, bent = (
        Corrector.fitted(table, prices(table), CONSTANT_US, each, SPREAD).corrected(judged, prices(judged)).latency_us
        for each in (truth, disturbed)
    )
    np.testing.assert_allclose(bent, clean, rtol=0.03)
