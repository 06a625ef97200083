"""Choosing for a budget, with a made-up clock."""

from __future__ import annotations

import math

import pytest

from edgewise.bench.cache import LatencyCache
from edgewise.errors import BudgetError, ConfigError, UnknownNameError
from edgewise.models.catalogue import CANDIDATES, find
from edgewise.pipeline import choose as module
from edgewise.pipeline import fit as fit_module
from edgewise.pipeline.choose import Budget, choose, matching
from edgewise.pipeline.fit import FitRequest, fit
from edgewise.pipeline.listener import JobListener

BY_MACS = [entry.name for entry in sorted(map(find, CANDIDATES), key=lambda entry: entry.macs)]
SMALL = "mobilenetv4_conv_small"


class Clock:
    """Takes one ms for each 100 M multiplications, and notes whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, spec, img_size, *, runtime, threads, workshop) -> float:
        self.asked.append(spec.name)
        return find(spec.name).macs / 1e8


class Forgetful(LatencyCache):
    """Remembers nothing."""

    def get(self, key) -> None:
        return None


class Ear(JobListener):
    def __init__(self) -> None:
        self.results: list[str] = []

    def on_result(self, text: str) -> None:
        self.results.append(text)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "measure_spec", clock)
    return clock


def _budget(max_ms: float, **other) -> Budget:
    return Budget(max_ms=max_ms, runtime="onnxruntime", threads=1, num_classes=10, **other)


def test_takes_the_most_accurate_inside(clock) -> None:
    ear = Ear()
    choice = choose(_budget(1e5), ear)
    (chosen,) = [each for each in choice.candidates if each.chosen]
    assert chosen.published_top1 == max(find(name).top1 for name in CANDIDATES)
    assert chosen.name in choice.reason
    assert clock.asked == BY_MACS
    assert len(ear.results) == len(BY_MACS)


def test_hopeless_ones_are_not_measured_and_it_is_said(clock) -> None:
    smallest = find(BY_MACS[0]).macs / 1e8
    choice = choose(_budget(smallest), JobListener())
    assert [each.name for each in choice.candidates if each.chosen] == [BY_MACS[0]]
    untried = [each for each in choice.candidates if each.latency_ms is None]
    assert [each.name for each in untried] == BY_MACS[2:]
    assert clock.asked == BY_MACS[:2]
    assert all(BY_MACS[1] in each.note and "not tried" in each.note for each in untried)
    assert choice.candidates[1].verdict == "too slow"


def test_remembers(clock) -> None:
    choose(_budget(1e5), JobListener())
    clock.asked.clear()
    ear = Ear()
    again = choose(_budget(1e5), ear)
    assert clock.asked == []
    assert all("(remembered)" in text for text in ear.results)
    assert all(each.note for each in again.candidates)
    choose(_budget(1e5, img_size=64), JobListener())
    assert len(clock.asked) == len(BY_MACS)


def test_nothing_fits(clock) -> None:
    with pytest.raises(BudgetError, match=rf"--max-ms 0.01 .*the fastest is {BY_MACS[0]} with 1\.\d+ ms: allow"):
        choose(_budget(0.01), JobListener())


@pytest.mark.parametrize("max_ms", [0.0, -1.0, math.nan, math.inf])
def test_a_budget_that_means_nothing(clock, max_ms) -> None:
    with pytest.raises(ConfigError, match=f"max_ms is {max_ms}; must be above 0"):
        choose(_budget(max_ms), JobListener())
    assert clock.asked == []


def test_other_bad_budgets(clock) -> None:
    with pytest.raises(ConfigError, match="threads is 0; accepted: 1 to"):
        Budget(max_ms=1, runtime="torch", threads=0, num_classes=2).check()
    with pytest.raises(UnknownNameError, match="unknown runtime 'ort'"):
        Budget(max_ms=1, runtime="ort", threads=1, num_classes=2).check()


def test_a_model_that_was_asked_for_is_the_only_candidate(clock) -> None:
    choice = choose(_budget(1e5, models=(SMALL,)), Ear())
    assert clock.asked == [SMALL]
    assert [(each.name, each.chosen) for each in choice.candidates] == [(SMALL, True)]
    assert choice.reason.startswith(f"{SMALL} was asked for and takes ")


def test_a_model_that_was_asked_for_and_is_too_slow(clock) -> None:
    with pytest.raises(
        BudgetError, match=f"^{SMALL} does not meet --max-ms 0.5 .* the fastest is {SMALL} with 1.86 ms"
    ):
        choose(_budget(0.5, models=(SMALL,)), Ear())


def test_fit_measures_only_the_model_that_was_asked_for() -> None:
    assert fit_module._budget(FitRequest(data="x", max_ms=3.0, model=SMALL), 4).models == (SMALL,)
    assert fit_module._budget(FitRequest(data="x", max_ms=3.0), 4).models == CANDIDATES


def test_a_spec_file_may_be_the_candidate(clock, tmp_path, monkeypatch) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: {SMALL}\nname: {SMALL}\nchanges: {{act: hard_swish}}\n")
    choice = choose(_budget(1e5, models=(str(path),)), Ear())
    (only,) = choice.candidates
    assert (only.name, only.img_size, only.published_top1, only.macs, only.params) == (str(path), 224, None, None, None)
    assert only.chosen
    assert choice.reason.startswith(f"{path} was asked for and takes 1.86 ms")


def test_candidates_by_pattern() -> None:
    assert matching("mobilenetv4_conv_small, repvit_m1_?") == (SMALL, "repvit_m1_0", "repvit_m1_1", "repvit_m1_5")
    assert "mobilenetv4_conv_small_035" not in matching("mobilenetv4_*"), "nobody published its accuracy"
    with pytest.raises(UnknownNameError, match="unknown model 'mobilnet'"):
        matching(f"{SMALL},mobilnet")
    with pytest.raises(
        ConfigError, match=r"models is 'mobilenetv4_conv_small_035'; none of them has a published accuracy"
    ):
        matching("mobilenetv4_conv_small_035")


def test_fit_measures_the_candidates_that_were_asked_for(tmp_path) -> None:
    request = FitRequest(data="x", max_ms=3.0, models="repvit_m1_0,mobileone_s0")
    assert fit_module._budget(request, 4).models == ("repvit_m1_0", "mobileone_s0")
    for wrong in ({"models": "*"}, {"models": "*", "max_ms": 3.0, "model": SMALL}):
        with pytest.raises(
            ConfigError, match=r"candidates for a latency budget: they go with max_ms, and without model"
        ):
            fit(FitRequest(data="x", project=tmp_path, **wrong), Ear())


class Foretold:
    """Forecasts what `Clock` takes, up to a factor that the name decides."""

    def __init__(self, off_by: float) -> None:
        self.off_by = off_by

    def latency_ms(self, spec, img_size) -> tuple[float, float]:
        factor = 1 + self.off_by * math.cos(sum(map(ord, spec.name)))
        latency_ms = find(spec.name).macs / 1e8 * factor
        return latency_ms, latency_ms * 0.9


@pytest.mark.parametrize("off_by", [0.0, 0.15])
def test_a_forecast_changes_the_work_and_not_the_choice(clock, off_by) -> None:
    names = matching("mobilenetv[1-4]*,repvit_*")
    macs = sorted(find(name).macs for name in names)
    asked = 0
    for step in range(20):
        max_ms = 1.02 * macs[(step + 1) * (len(macs) - 1) // 20] / 1e8
        wanted = choose(_budget(max_ms, models=names), JobListener(), Forgetful())
        clock.asked.clear()
        found = choose(_budget(max_ms, models=names), JobListener(), Forgetful(), Foretold(off_by))
        asked += len(clock.asked)
        chosen = [[each.name for each in choice.candidates if each.chosen] for choice in (wanted, found)]
        assert chosen[0] == chosen[1]
        assert [each.name for each in found.candidates] == [each.name for each in wanted.candidates]
        assert "had to be measured, the calibration ruled the others out" in found.reason
    assert asked <= 20 * len(names) / 5


def test_a_forecast_that_rules_everything_out_is_not_believed(clock) -> None:
    """The one that it calls fastest is measured, and named where it is too slow."""
    with pytest.raises(BudgetError, match=rf"the fastest is {BY_MACS[0]} with 1\.\d+ ms: allow"):
        choose(_budget(0.01), JobListener(), Forgetful(), Foretold(0.0))
    assert clock.asked == [BY_MACS[0]]
