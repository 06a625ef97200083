"""`predict-latency`: what a model will take in a calibrated runtime, without exporting or running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgewise.cost.latency_predictor import LatencyEstimate, Predictor
from edgewise.errors import InputError
from edgewise.models.resolve import resolve
from edgewise.pipeline.counted import count_deployed
from edgewise.pipeline.latency_profiles import differences, load_profile
from edgewise.records.cost import CostReport
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
