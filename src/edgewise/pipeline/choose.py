"""Choosing a model for a latency budget, by the clock of this machine."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewise.bench.cache import LatencyCache, LatencyKey
from edgewise.bench.limits import check_max_ms, check_threads
from edgewise.bench.protocol import quick_latency_ms
from edgewise.deploy.export import export
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.workshop import Workshop
from edgewise.errors import BudgetError, ConfigError, shown, unknown_name
from edgewise.models.build import build
from edgewise.models.catalogue import CANDIDATES, CATALOGUE, list_models
from edgewise.models.pretrained import first_choice
from edgewise.models.resolve import ModelSource, resolve
from edgewise.pipeline.forecast import Forecast
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network import network_spec
from edgewise.records.artifact import Preprocessing
from edgewise.records.run import Candidate, Choice
from edgewise.report.formatting import format_ms, format_percent
from edgewise.spec.model import ModelSpec
from edgewise.spec.text import dump_spec

SAFETY = 2.0
"""Half-widths of the 90 % interval below the forecast, above the budget from which on a candidate is not measured."""
HOPELESS = 3.0
"""A candidate is not measured when a smaller one already takes this many times the budget."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a model may cost and where."""

    max_ms: float
    runtime: str
    threads: int
    num_classes: int
    img_size: int | None = None
    """Side in pixels for all candidates; each model's own by default."""
    width_mult: float = 1.0
    models: tuple[str, ...] = CANDIDATES
    """The candidates: names of the catalogue, or one spec file."""

    def check(self) -> None:
        """Refuse a budget that means nothing.

        Raises:
            ConfigError: ``max_ms`` or ``threads`` is out of range.
            UnknownNameError: no such runtime.
            MissingExtraError: the runtime is not installed.
        """
        check_max_ms(self.max_ms)
        check_threads(self.threads)
        get_runtime(self.runtime)


def matching(patterns: str) -> tuple[str, ...]:
    """Return the models that a list of shell patterns names (``mobilenetv4_conv*,repvit_m1_0``) and whose accuracy is published.

    Raises:
        UnknownNameError: a pattern matches no model.
        ConfigError: none of the models has a published accuracy to choose by.
    """
    found: dict[str, None] = {}
    for pattern in filter(None, (each.strip() for each in patterns.split(","))):
        names = list_models(pattern)
        if not names:
            raise unknown_name("model", pattern, CATALOGUE)
        found |= dict.fromkeys(name for name in names if CATALOGUE[name].top1 is not None)
    if not found:
        raise ConfigError(f"models is {shown(patterns)}; none of them has a published accuracy to choose by")
    return tuple(found)


def with_weights(names: Iterable[str]) -> tuple[str, ...]:
    """Return ``NAME.TAG`` of the first choice of weights of each model whose weights are on the hub.

    Raises:
        ConfigError: there is none.
    """
    found = tuple(tag.name for tag in map(first_choice, names) if tag is not None and tag.hf_hub_id)
    if not found:
        raise ConfigError("pretrained: the weights of none of the candidates are on the hub; give other models")
    return found


def choose(
    budget: Budget, listener: JobListener, cache: LatencyCache | None = None, forecast: Forecast | None = None
) -> Choice:
    """Take the candidate with the best published accuracy whose measured latency is inside the budget.

    Weights are random: latency does not depend on them. Latencies are remembered per machine, runtime, threads and versions.
    With a ``forecast`` the most accurate are looked at first, and measured only where the forecast leaves them a chance; the first one
    inside is taken. Without, all are measured, smallest first.

    Raises:
        BudgetError: even the fastest model takes longer; the message names it and its time.
    """
    budget.check()
    cache = cache or LatencyCache()
    sources = sorted(map(resolve, budget.models), key=lambda source: source.entry.macs if source.entry else 0)
    with Workshop() as workshop:
        clock = _Clock(budget, cache, workshop, listener)
        candidates = _by_clock(sources, clock) if forecast is None else _by_forecast(sources, clock, forecast)
    listener.on_progress(len(sources), len(sources))
    return _decided(budget, candidates, by_forecast=forecast is not None)


class _Clock:
    """Measures candidates and tells of it."""

    def __init__(self, budget: Budget, cache: LatencyCache, workshop: Workshop, listener: JobListener) -> None:
        self.budget, self._cache, self._workshop, self.listener = budget, cache, workshop, listener

    def img_size(self, source: ModelSource) -> int:
        """Return the side that ``source`` is judged at."""
        return self.budget.img_size or source.img_size

    def spec(self, source: ModelSource) -> ModelSpec:
        """Return the network as it would be trained."""
        return network_spec(
            source.given,
            img_size=self.img_size(source),
            num_classes=self.budget.num_classes,
            width_mult=self.budget.width_mult,
        )

    def measured(self, source: ModelSource) -> Candidate:
        """Return ``source`` with its latency and whether that is inside."""
        img_size = self.img_size(source)
        latency_ms, remembered = _latency(self.spec(source), img_size, self.budget, self._cache, self._workshop)
        verdict = "inside" if latency_ms <= self.budget.max_ms else "too slow"
        note = "remembered from an earlier measurement" if remembered else ""
        candidate = _candidate(source, img_size, latency_ms, verdict, note)
        self.listener.on_result(
            f"{source.given} at {img_size} px: {format_ms(latency_ms)}{' (remembered)' if remembered else ''}, "
            f"published top-1 {format_percent(candidate.published_top1)}"
            f"{', too slow' if verdict == 'too slow' else ''}"
        )
        return candidate

    def skipped(self, source: ModelSource, why: str) -> Candidate:
        """Return ``source`` unmeasured."""
        return _candidate(source, self.img_size(source), None, "not tried", why)


def _by_clock(sources: Sequence[ModelSource], clock: _Clock) -> list[Candidate]:
    """Measure all, smallest first, until one is hopeless."""
    candidates: list[Candidate] = []
    hopeless = ""
    for done, source in enumerate(sources):
        clock.listener.on_progress(done, len(sources))
        if hopeless:
            candidates.append(clock.skipped(source, hopeless))
            continue
        candidates.append(clock.measured(source))
        latency_ms = candidates[-1].latency_ms
        if latency_ms is not None and latency_ms > HOPELESS * clock.budget.max_ms:
            hopeless = f"not tried: {source.given}, with fewer multiplications, already takes {format_ms(latency_ms)}"
    return candidates


def _by_forecast(sources: Sequence[ModelSource], clock: _Clock, forecast: Forecast) -> list[Candidate]:
    """Measure the most accurate ones that may be inside, until one is; where none is, the one that is forecast to be the fastest."""
    max_ms = clock.budget.max_ms
    expected: dict[str, tuple[float, float]] = {}
    for done, source in enumerate(sources):
        clock.listener.on_progress(done, len(sources))
        expected[source.given] = forecast.latency_ms(clock.spec(source), clock.img_size(source))
    ranked = sorted(
        sources, key=lambda source: _published_top1(source) or 0.0, reverse=True
    )  # stable: of equals the smaller one first
    found: dict[str, Candidate] = {}
    for source in ranked:
        latency_ms, low_ms = expected[source.given]
        inside = next((each for each in found.values() if each.verdict == "inside"), None)
        if inside is not None:
            found[source.given] = clock.skipped(source, f"not tried: {inside.name} is inside and more accurate")
        elif latency_ms - SAFETY * (latency_ms - low_ms) > max_ms:
            found[source.given] = clock.skipped(source, f"not tried: predicted to take {format_ms(latency_ms)}")
        else:
            found[source.given] = clock.measured(source)
    if all(each.verdict != "inside" for each in found.values()):
        untried = [source for source in sources if found[source.given].latency_ms is None]
        if untried:
            fastest = min(untried, key=lambda source: expected[source.given][0])
            found[fastest.given] = clock.measured(fastest)
    return [found[source.given] for source in sources]


def _published_top1(source: ModelSource) -> float | None:
    return source.tag.top1 if source.tag else source.entry.top1 if source.entry else None


def _candidate(source: ModelSource, img_size: int, latency_ms: float | None, verdict: str, note: str) -> Candidate:
    entry = source.entry
    return Candidate(
        name=source.given,
        img_size=img_size,
        published_top1=_published_top1(source),
        macs=entry.macs if entry and img_size == entry.img_size else None,
        params=entry.params if entry else None,
        latency_ms=latency_ms,
        verdict=verdict,
        chosen=False,
        note=note,
    )


def _decided(budget: Budget, candidates: list[Candidate], *, by_forecast: bool) -> Choice:
    inside = [each for each in candidates if each.verdict == "inside"]
    if not inside:
        fastest_ms, fastest = min((each.latency_ms, each.name) for each in candidates if each.latency_ms is not None)
        what = "no model meets" if len(budget.models) > 1 else f"{budget.models[0]} does not meet"
        raise BudgetError(
            f"{what} --max-ms {budget.max_ms:g} in {budget.runtime} with {budget.threads} thread(s) on this machine; "
            f"the fastest is {fastest} with {format_ms(fastest_ms)}: allow that much, or give a smaller --img-size"
        )
    best = max(inside, key=lambda each: each.published_top1 or 0.0)  # of equals the smaller one
    if len(budget.models) == 1:
        reason = f"{best.name} was asked for and takes {format_ms(best.latency_ms)} here, inside {budget.max_ms:g} ms"
        return _choice(budget, candidates, best, reason)
    top1, max_ms = format_percent(best.published_top1), f"{budget.max_ms:g} ms"
    if by_forecast:
        num_measured = sum(each.latency_ms is not None for each in candidates)
        reason = (
            f"{best.name} has the best published accuracy ({top1}) of the models that take at most {max_ms} here; "
            f"{num_measured} of {len(candidates)} had to be measured, the calibration ruled the others out"
        )
        return _choice(budget, candidates, best, reason)
    reason = (
        f"{best.name} has the best published accuracy ({top1}) of the {len(inside)} "
        f"model{'s' if len(inside) > 1 else ''} that take{'' if len(inside) > 1 else 's'} at most {max_ms} here"
    )
    return _choice(budget, candidates, best, reason)


def _choice(budget: Budget, candidates: list[Candidate], best: Candidate, reason: str) -> Choice:
    return Choice(
        max_ms=budget.max_ms,
        runtime=budget.runtime,
        threads=budget.threads,
        candidates=tuple(each.model_copy(update={"chosen": each is best}) for each in candidates),
        reason=reason,
    )


def _latency(
    spec: ModelSpec, img_size: int, budget: Budget, cache: LatencyCache, workshop: Workshop
) -> tuple[float, bool]:
    """Return the latency in ms and whether it was remembered."""
    key = LatencyKey.here(
        runtime=budget.runtime,
        runtime_version=get_runtime(budget.runtime).availability().version,
        threads=budget.threads,
        spec_sha256=hashlib.sha256(dump_spec(spec).encode()).hexdigest(),
        img_size=img_size,
        precision="fp32",
    )
    known = cache.get(key)
    if known is not None:
        return known, True
    latency_ms = measure_spec(spec, img_size, runtime=budget.runtime, threads=budget.threads, workshop=workshop)
    cache.put(key, latency_ms)
    return latency_ms, False


def measure_spec(
    spec: ModelSpec, img_size: int, *, runtime: str, threads: int, workshop: Workshop | None = None
) -> float:
    """Return the latency in ms of a network with fresh weights, exported for ``runtime``."""
    format_ = get_runtime(runtime).formats[0]
    with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        folder = Path(temporary) / "candidate"
        artifact = export(
            build(spec),
            folder,
            format=format_,
            preprocessing=Preprocessing(img_size=img_size),
            model_name=spec.name,
            verify=False,
            workshop=workshop,
        )
        shape = (1, *map(int, artifact.input.shape[1:]))
        return quick_latency_ms(folder / artifact.files[0], runtime, threads, input_shape=shape)
