"""`predict-latency`: what a model will take in a calibrated runtime, without exporting or running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgewise.cost.latency_model import LatencyEstimate, Predictor
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.errors import InputError, shown
from edgewise.models.resolve import resolve
from edgewise.pipeline.calibrate_job import profile_path
from edgewise.pipeline.counted import count_deployed
from edgewise.records.cost import CostReport
from edgewise.records.environment import cpu_name, usable_cores
from edgewise.records.latency_profile import LatencyProfile


@dataclass(frozen=True, kw_only=True)
class PredictedLatency:
    """What came out."""

    report: CostReport
    profile: LatencyProfile
    estimate: LatencyEstimate
    warnings: tuple[str, ...]


def predict_latency(
    model: str,
    *,
    profile: Path | None = None,
    runtime: str = "onnxruntime",
    threads: int = 1,
    img_size: int | None = None,
    strict: bool = False,
) -> PredictedLatency:
    """Predict the latency of one image.

    Args:
        model: what `models.resolve` takes.
        profile: of a calibration; by default this machine's last one of ``runtime`` and ``threads``.
        runtime: as in ``onnxruntime``.
        threads: of one call.
        img_size: side of the input in pixels; the model's own by default.
        strict: refuse a profile of another machine or version, and models with operators that nothing counts.

    Raises:
        UnknownNameError: there is no such model or runtime.
        InputError: there is no profile, it is damaged, or ``strict`` and something differs.
    """
    found = load_profile(profile, runtime, threads)
    warnings = list(differences(found))
    report = count_deployed(resolve(model), img_size=img_size, fusion=found.fusion)
    if report.unknown:
        warnings.append(f"not counted, so the time is too low: {', '.join(report.unknown)}")
    if strict and warnings:
        raise InputError(f"--strict: {'; '.join(warnings)}")
    estimate = Predictor(found).estimate(report.kernels)
    return PredictedLatency(report=report, profile=found, estimate=estimate, warnings=tuple(warnings))


def load_profile(path: Path | None, runtime: str, threads: int) -> LatencyProfile:
    """Return the profile at ``path``, or this machine's.

    Raises:
        UnknownNameError: there is no such runtime.
        InputError: there is no profile, or it is damaged.
    """
    if path is not None:
        return LatencyProfile.load(path)
    get_runtime(runtime)
    own = profile_path(runtime, threads)
    if not own.is_file():
        raise InputError(
            f"{runtime} was not calibrated with {threads} thread{'s' if threads > 1 else ''} on this machine; "
            f"run: edgewise calibrate --runtime {runtime} --threads {threads}"
        )
    return LatencyProfile.load(own)


def differences(profile: LatencyProfile) -> list[str]:
    """Say in what this machine and its versions differ from those that ``profile`` was made on."""
    made, found = profile.environment, []
    here = f"{cpu_name()}, {usable_cores()} cores"
    there = f"{made.cpu}, {made.num_cores} cores"
    if here != there:
        found.append(f"the profile is of another machine ({shown(there)}); this is {shown(here)}")
    runtime = get_runtime(profile.runtime)
    now, then = runtime.availability().version, made.versions.get(runtime.sdk.package, "")
    if now != then:
        found.append(
            f"the profile is of {profile.runtime} {then or 'of an unknown version'}; installed is {now or 'none'}"
        )
    return found
