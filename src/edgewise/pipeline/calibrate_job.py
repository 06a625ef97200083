"""`calibrate`: times micro-networks in a runtime on this machine, and fits a latency predictor to them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from torch import nn

from edgewise.bench import reference
from edgewise.bench.limits import check_threads
from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.kernel_table import table_of
from edgewise.cost.latency_fit import LatencyFit, measured, profile_of
from edgewise.cost.micro_networks import micro_network
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ConfigError, ExportError, InputError, Interrupted, OutputError, shown
from edgewise.pipeline.fusions import fusion_here
from edgewise.pipeline.latency_profiles import profile_path
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network_timer import NetworkTimer
from edgewise.records.cost import KernelCost
from edgewise.records.environment import capture_environment
from edgewise.records.files import write_atomically
from edgewise.records.latency_profile import CalibrationRequest, LatencyProfile, Sample
from edgewise.train.run_folder import new_run_folder
from edgewise.train.signals import EXIT_CODES

RUNTIMES: Final = ("onnxruntime", "openvino", "litert", "executorch")
"""That can be calibrated; the fusion model of the same name says what each runs as one kernel."""
BATCH: Final = 16
"""Networks between two fits."""
FIRST_BATCHES: Final = 4
"""Of networks drawn blindly; after these, those are timed of which the fit is least sure."""
CANDIDATES: Final = 40
"""Networks drawn for a batch then."""
MIN_SAMPLES: Final = 48
MIN_BUDGET_S: Final = 60.0
SHARE_TO_FIT: Final = 0.05
"""Of the budget, kept for the last fits."""


@dataclass
class _Known:
    """What is known of the networks so far."""

    samples: list[Sample] = field(default_factory=list)
    kernels: list[tuple[KernelCost, ...]] = field(default_factory=list)
    next_seed: int = 0
    spent_s: float = 0.0


def check_request(request: CalibrationRequest) -> None:
    """Refuse what cannot be calibrated.

    Raises:
        ConfigError: a number is out of range, or the runtime has no fusion model.
        UnknownNameError: there is no such runtime.
        MissingExtraError: it is not installed.
    """
    check_threads(request.threads)
    get_runtime(request.runtime).sdk.require()
    if request.runtime not in RUNTIMES:
        raise ConfigError(f"{request.runtime} cannot be calibrated; accepted: {', '.join(RUNTIMES)}")
    if not MIN_BUDGET_S <= request.budget_s <= 86_400:
        raise ConfigError(f"budget is {request.budget_s:g} s; accepted: {MIN_BUDGET_S:g} s to a day, as in 15m")


def calibrate(request: CalibrationRequest, folder: Path | None, listener: JobListener) -> tuple[LatencyProfile, Path]:
    """Time micro-networks until the budget is spent and write ``profile.json``; returns it with its path.

    The profile is also kept as this machine's, where `predict_latency` looks for it.

    Args:
        request: what to calibrate.
        folder: that of an earlier calibration, which is gone on with, or a new one; ``runs/calibrate``, numbered, by default.
        listener: hears of it.

    Raises:
        ConfigError: the request cannot be used.
        InputError: ``folder`` holds something else.
        OutputError: it cannot be written.
        Interrupted: Ctrl-C; what was timed is kept.
        ExportError: too few networks could be timed.
    """
    check_request(request)
    place = folder if folder is not None else new_run_folder(Path("runs"), "calibrate").path
    job = _Calibration(request, place, listener)
    try:
        return job.run()
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped by SIGINT, {len(job.known.samples)} networks are kept; "
            f"go on with: edgewise calibrate --resume {shown(place)}",
            EXIT_CODES[signal.SIGINT],
        ) from None


def open_calibration(folder: Path) -> CalibrationRequest:
    """Return what an earlier calibration was asked for.

    Raises:
        InputError: ``folder`` holds none.
    """
    path = folder / "request.json"
    if not path.is_file():
        raise InputError(f"{shown(folder)} holds no calibration (request.json is missing); give the folder of one")
    return CalibrationRequest.load(path)


def _made(seed: int) -> tuple[nn.Module, int]:
    network = micro_network(seed)
    return network.model, network.img_size


class _Calibration:
    def __init__(self, request: CalibrationRequest, folder: Path, listener: JobListener) -> None:
        self._request, self._folder, self._listener = request, folder, listener
        self._fusion = fusion_here(request.runtime)
        self.known = self._read()

    def run(self) -> tuple[LatencyProfile, Path]:
        """Time and fit."""
        self._listener.on_stage(f"Timing micro-networks in {self._request.runtime}")
        budget_s = self._request.budget_s * (1 - SHARE_TO_FIT)
        if self.known.samples:
            self._listener.on_message(f"{len(self.known.samples)} networks are timed already")
        with Workshop() as workshop:
            timer = NetworkTimer(
                self._request.runtime, self._request.threads, workshop, self._listener, with_operators=True
            )
            while self.known.spent_s < budget_s:
                self._listener.on_progress(round(self.known.spent_s), round(budget_s))
                begun = time.monotonic()
                timed = self._time(self._drawn(), timer)
                self.known.spent_s += time.monotonic() - begun
                self._keep(timed)
            self._listener.on_progress(round(budget_s), round(budget_s))
        if len(self.known.samples) < MIN_SAMPLES:
            raise ExportError(
                f"only {len(self.known.samples)} networks could be timed, {MIN_SAMPLES} are needed; allow a larger --budget"
            )
        self._listener.on_stage(f"Fitting {len(self.known.samples)} networks")
        profile = profile_of(
            self.known.samples,
            self.known.kernels,
            runtime=self._request.runtime,
            threads=self._request.threads,
            fusion=self._fusion,
            reference_kernel=reference.NAME,
            environment=capture_environment(),
        )
        path = self._folder / "profile.json"
        own = profile_path(self._request.runtime, self._request.threads)
        try:
            profile.save(path)
            own.parent.mkdir(parents=True, exist_ok=True)
            profile.save(own)
        except OSError as error:
            raise OutputError(f"{shown(path)} was not written: {error.strerror}") from error
        return profile, path

    def _drawn(self) -> list[tuple[int, tuple[KernelCost, ...]]]:
        """Draw the next networks: blindly at first, then those of which a fit is least sure."""
        known = self.known
        is_blind = len(known.samples) < FIRST_BATCHES * BATCH
        seeds = range(known.next_seed, known.next_seed + (BATCH if is_blind else CANDIDATES))
        known.next_seed = seeds.stop
        found = [(seed, self._kernels(seed)) for seed in seeds]
        if is_blind:
            return found
        table, latency_us, by_kernel = measured(known.samples, known.kernels, known.samples[0].reference_ms)
        _, doubts = LatencyFit(table, latency_us, by_kernel=by_kernel).predicted(table_of([each for _, each in found]))
        ranked = sorted(range(len(found)), key=lambda at: -doubts[at])
        return [found[at] for at in ranked[:BATCH]]

    def _kernels(self, seed: int) -> tuple[KernelCost, ...]:
        network = micro_network(seed)
        return count(fuse(network.model), network.img_size, fusion=self._fusion).kernels

    def _time(
        self, drawn: Sequence[tuple[int, tuple[KernelCost, ...]]], timer: NetworkTimer
    ) -> list[tuple[Sample, tuple[KernelCost, ...]]]:
        """Export and time ``drawn``."""
        times = timer.times([(f"micro_{seed}", partial(_made, seed)) for seed, _ in drawn])
        return [
            (Sample(seed=seed, **taken.model_dump()), kernels)
            for (seed, kernels), taken in zip(drawn, times, strict=True)
            if taken is not None
        ]

    def _keep(self, timed: Sequence[tuple[Sample, tuple[KernelCost, ...]]]) -> None:
        """Remember a batch, on disk too."""
        for sample, kernels in timed:
            self.known.samples.append(sample)
            self.known.kernels.append(kernels)
        state = {
            "next_seed": self.known.next_seed,
            "spent_s": self.known.spent_s,
            "samples": [sample.model_dump() for sample in self.known.samples],
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._request.save(self._folder / "request.json")
            write_atomically(self._folder / "samples.json", json.dumps(state).encode())
        except OSError as error:
            raise OutputError(f"{shown(self._folder)} cannot be written: {error.strerror}") from error

    def _read(self) -> _Known:
        """Return what an earlier run of this calibration has timed."""
        if not self._folder.exists() or not any(self._folder.iterdir()):
            return _Known()
        earlier = open_calibration(self._folder)
        if (earlier.runtime, earlier.threads) != (self._request.runtime, self._request.threads):
            raise InputError(
                f"{shown(self._folder)} is a calibration of {earlier.runtime} with {earlier.threads} thread(s); "
                "give another folder"
            )
        path = self._folder / "samples.json"
        try:
            state = json.loads(path.read_bytes())
            samples = [Sample.model_validate(each) for each in state["samples"]]
            known = _Known(samples=samples, next_seed=int(state["next_seed"]), spent_s=float(state["spent_s"]))
        except OSError as error:
            raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise InputError(f"{shown(path)} is damaged; start anew in another folder") from error
        known.kernels = [self._kernels(sample.seed) for sample in samples]
        return known
