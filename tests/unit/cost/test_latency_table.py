"""An additive latency model: exact where the world is additive, honest where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from edgewise.cost.latency_table import AdditiveModel, extremes, left_out_errors

NUM_OPTIONS = [3, 2, 4, 9, 9, 9]
TRUTH = [np.random.default_rng(at).uniform(0.1, 0.6, num) for at, num in enumerate(NUM_OPTIONS)]
CONSTANT = 1.0


def networks(number: int, seed: int = 0) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(int(rng.integers(num)) for num in NUM_OPTIONS) for _ in range(number)]


def latency(genotype, *, together: float = 0.0) -> float:
    own = [costs[option] for costs, option in zip(TRUTH, genotype, strict=True)]
    return CONSTANT + sum(own) + together * own[3] * own[4]


@pytest.mark.parametrize("with_prior", [True, False])
def test_an_additive_world_is_found(with_prior) -> None:
    # predicted half too high, all alike: one factor brings it right
    prior = 1.5 * np.concatenate(TRUTH) if with_prior else np.zeros(sum(NUM_OPTIONS))
    seen, unseen = networks(120), networks(50, seed=9)
    model = AdditiveModel(NUM_OPTIONS, seen, [latency(each) for each in seen], prior)
    np.testing.assert_allclose(model.latency_ms(unseen), [latency(each) for each in unseen], rtol=0.01)
    costs = [model.costs_of(at, num) for at, num in enumerate(NUM_OPTIONS)]
    for own, wanted in zip(costs, TRUTH, strict=True):
        np.testing.assert_allclose(np.array(own) - own[0], wanted - wanted[0], atol=0.03)
    fastest, slowest = extremes(costs)
    everything = [latency(each) for each in networks(3000, seed=5)]
    assert latency(fastest) == pytest.approx(CONSTANT + sum(each.min() for each in TRUTH), rel=0.01)
    assert latency(fastest) <= min(everything) * 1.01
    assert latency(slowest) >= max(everything) * 0.99


def test_a_prior_needs_fewer_networks() -> None:
    seen, unseen = networks(20), networks(50, seed=9)
    wanted = np.array([latency(each) for each in unseen])
    off = [
        np.abs(
            AdditiveModel(NUM_OPTIONS, seen, [latency(each) for each in seen], prior).latency_ms(unseen) / wanted - 1
        )
        for prior in (np.concatenate(TRUTH), np.zeros(sum(NUM_OPTIONS)))
    ]
    assert float(np.median(off[0])) < float(np.median(off[1])) / 2


def test_errors_tell_where_options_touch_each_other() -> None:
    prior = np.zeros(sum(NUM_OPTIONS))
    seen = networks(120)
    additive = left_out_errors(NUM_OPTIONS, seen, [latency(each) for each in seen], prior)
    touching = left_out_errors(NUM_OPTIONS, seen, [latency(each, together=6.0) for each in seen], prior)
    assert float(np.median(np.abs(additive))) < 0.01
    assert float(np.median(np.abs(touching))) > 0.02
