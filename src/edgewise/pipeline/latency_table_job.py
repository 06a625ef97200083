"""`latency-table build`: what each choice of a search space costs, from measured networks of it."""

from __future__ import annotations

import json
import random
import signal
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from edgewise.bench.limits import check_threads
from edgewise.cost.latency_table import AdditiveModel, extremes, left_out_errors
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ConfigError, ExportError, InputError, Interrupted, OutputError, shown
from edgewise.models.build import build
from edgewise.models.spaces import find_space
from edgewise.pipeline.forecast import Forecast, forecast_for
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network_timer import NetworkTimer
from edgewise.records.environment import capture_environment
from edgewise.records.files import write_atomically
from edgewise.records.latency_table import Decision, LatencyTable, TimedNetwork
from edgewise.spec.space import Genotype, SearchSpace
from edgewise.train.run_folder import new_run_folder
from edgewise.train.signals import EXIT_CODES

MIN_NETWORKS: Final = 20
BATCH: Final = 8


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """Which space where, and how much is measured."""

    space: str
    """A file with ``base`` and ``choices``, or a model's name for MobileNetV4's choices around it."""
    runtime: str = "onnxruntime"
    threads: int = 1
    networks: int = 120

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            ConfigError: a number is out of range.
            UnknownNameError: there is no such runtime.
            MissingExtraError: it is not installed.
        """
        check_threads(self.threads)
        get_runtime(self.runtime).sdk.require()
        if not MIN_NETWORKS <= self.networks <= 100_000:
            raise ConfigError(f"networks is {self.networks}; accepted: {MIN_NETWORKS} to 100,000")


def build_table(request: TableRequest, folder: Path | None, listener: JobListener) -> tuple[LatencyTable, Path]:
    """Measure random networks of a space, fit what each option costs, and write ``table.json``; returns it with its path.

    Where this machine is calibrated for the runtime, the fit starts from predicted costs.

    Args:
        request: what to build.
        folder: that of an earlier build, which is gone on with, or a new one; ``runs/latency_table``, numbered, by default.
        listener: hears of it.

    Raises:
        ConfigError: the request cannot be used.
        SpecError: the space cannot be built.
        InputError: ``folder`` holds something else.
        OutputError: it cannot be written.
        Interrupted: Ctrl-C; what was timed is kept.
        ExportError: too few networks could be timed.
    """
    request.check()
    space = find_space(request.space)
    place = folder if folder is not None else new_run_folder(Path("runs"), "latency_table").path
    job = _Building(request, space, place, listener)
    try:
        return job.run()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped by SIGINT, {len(job.timed)} networks are kept; go on with: "
            f"edgewise latency-table build {shown(request.space)} --out {shown(place)}",
            EXIT_CODES[signal.SIGINT],
        ) from None


class _Building:
    def __init__(self, request: TableRequest, space: SearchSpace, folder: Path, listener: JobListener) -> None:
        self._request, self._space, self._folder, self._listener = request, space, folder, listener
        self._num_options = [len(options) for options in space.choices.values()]
        self.timed = self._read()

    def run(self) -> tuple[LatencyTable, Path]:
        """Measure what is missing, and fit."""
        request = self._request
        drawn = self._drawn()
        self._listener.on_stage(f"Timing {len(drawn)} networks of {self._space.name} in {request.runtime}")
        done = {network.genotype for network in self.timed}
        left = [genotype for genotype in drawn if genotype not in done]
        with Workshop() as workshop:
            timer = NetworkTimer(request.runtime, request.threads, workshop, self._listener)
            for start in range(0, len(left), BATCH):
                self._listener.on_progress(len(drawn) - len(left) + start, len(drawn))
                self._time(left[start : start + BATCH], timer)
            self._listener.on_progress(len(drawn), len(drawn))
        if len(self.timed) < MIN_NETWORKS:
            raise ExportError(f"only {len(self.timed)} networks could be timed; {MIN_NETWORKS} are needed")
        table = self._fitted()
        path = self._folder / "table.json"
        try:
            table.save(path)
        except OSError as error:
            raise OutputError(f"{shown(path)} was not written: {error.strerror}") from error
        return table, path

    def _drawn(self) -> list[Genotype]:
        """Return the networks to measure: the same ones for the same space."""
        rng = random.Random(0)
        wanted = min(self._request.networks, self._space.num_networks)
        found: dict[Genotype, None] = {}
        while len(found) < wanted:
            found[self._space.sample(rng)] = None
        return list(found)

    def _time(self, genotypes: list[Genotype], timer: NetworkTimer) -> None:
        networks: list[tuple[str, Callable[[], tuple[nn.Module, int]]]] = [
            (f"network_{len(self.timed) + at}", partial(_made, self._space, genotype))
            for at, genotype in enumerate(genotypes)
        ]
        for genotype, taken in zip(genotypes, timer.times(networks), strict=True):
            if taken is not None:
                self.timed.append(TimedNetwork(genotype=genotype, **taken.model_dump()))
        state = {"request": self._asked(), "networks": [each.model_dump(mode="json") for each in self.timed]}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._folder / "networks.json", json.dumps(state).encode())
        except OSError as error:
            raise OutputError(f"{shown(self._folder)} cannot be written: {error.strerror}") from error

    def _fitted(self) -> LatencyTable:
        request, space = self._request, self._space
        reference_ms = statistics.median(each.reference_ms for each in self.timed)
        latencies = [each.at_speed(reference_ms) for each in self.timed]
        genotypes = [each.genotype for each in self.timed]
        forecast = forecast_for(request.runtime, request.threads, self._listener)
        prior = self._prior(forecast) if forecast is not None else np.zeros(sum(self._num_options))
        errors = np.abs(left_out_errors(self._num_options, genotypes, latencies, prior))
        model = AdditiveModel(self._num_options, genotypes, latencies, prior)
        costs = [model.costs_of(at, num_options) for at, num_options in enumerate(self._num_options)]
        fastest, slowest = extremes(costs)
        least, most = model.latency_ms([fastest, slowest])
        return LatencyTable(
            space=space.name,
            runtime=request.runtime,
            threads=request.threads,
            environment=capture_environment(),
            reference_ms=reference_ms,
            constant_ms=model.constant_ms,
            decisions=tuple(
                Decision(path=path, options=options, cost_ms=own)
                for (path, options), own in zip(space.choices.items(), costs, strict=True)
            ),
            prior="none" if forecast is None else "predicted",
            median_error=float(np.median(errors)),
            error_95th_percentile=float(np.quantile(errors, 0.95)),
            min_ms=float(least),
            max_ms=float(most),
            fastest=fastest,
            slowest=slowest,
            networks=tuple(self.timed),
        )

    def _prior(self, forecast: Forecast) -> NDArray[np.float64]:
        """Return what each option is predicted to add to the base, in the base's own context."""
        space = self._space
        self._listener.on_stage(f"Predicting {sum(self._num_options)} options")
        side = space.base.img_size
        plain, _ = forecast.latency_ms(space.base, side)
        costs: list[float] = []
        for at, num_options in enumerate(self._num_options):
            for option in range(num_options):
                self._listener.on_progress(len(costs), sum(self._num_options))
                costs.append(forecast.latency_ms(space.spec({at: option}), side)[0] - plain)
        return np.array(costs)

    def _asked(self) -> dict[str, object]:
        return {"space": self._space.name, "runtime": self._request.runtime, "threads": self._request.threads}

    def _read(self) -> list[TimedNetwork]:
        """Return what an earlier build has timed."""
        if not self._folder.exists() or not any(self._folder.iterdir()):
            return []
        path = self._folder / "networks.json"
        try:
            state = json.loads(path.read_bytes())
            asked, networks = state["request"], [TimedNetwork.model_validate(each) for each in state["networks"]]
        except OSError as error:
            raise InputError(
                f"{shown(self._folder)} holds no latency table to go on with ({path.name}: {error.strerror}); give a new folder"
            ) from error
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise InputError(f"{shown(path)} is damaged; start anew in another folder") from error
        if asked != self._asked():
            raise InputError(f"{shown(self._folder)} is of {shown(asked)}; give another folder")
        return networks


def _made(space: SearchSpace, genotype: Genotype) -> tuple[nn.Module, int]:
    spec = space.spec(genotype)
    return build(spec).eval(), spec.img_size
