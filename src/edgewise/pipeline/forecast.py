"""Latencies of networks from this machine's calibration, where there is a valid one: what needs no measuring is not measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.latency_predictor import Predictor
from edgewise.errors import InputError
from edgewise.models.build import build
from edgewise.pipeline.latency_profiles import differences, load_profile, profile_path
from edgewise.pipeline.listener import JobListener
from edgewise.spec.model import ModelSpec


@dataclass(frozen=True)
class Forecast:
    """Prices networks; nothing is exported or run."""

    predictor: Predictor

    def latency_ms(self, spec: ModelSpec, img_size: int) -> tuple[float, float]:
        """Return the predicted latency of one image in ms, and the lower end of its 90 % interval.

        Both are 0 for a network of which a part is not priced: it has to be measured.

        Args:
            spec: of the network, built without memory.
            img_size: side of the input in pixels.
        """
        with torch.device("meta"):
            model = fuse(build(spec).eval())
        report = count(model, img_size, fusion=self.predictor.fusion)
        if not report.complete or self.predictor.unpriced(report.kernels):
            return 0.0, 0.0
        estimate = self.predictor.estimate(report.kernels)
        return estimate.latency_ms, estimate.low_ms


def forecast_for(runtime: str, threads: int, listener: JobListener) -> Forecast | None:
    """Return what prices networks in ``runtime`` here; None where it was not calibrated on this machine and in this version.

    The listener hears why a calibration that is there is not used.
    """
    if not profile_path(runtime, threads).is_file():
        return None
    try:
        profile = load_profile(None, runtime, threads)
    except InputError as error:
        why = [str(error)]
    else:
        why = differences(profile)
        if not why:
            return Forecast(Predictor(profile))
    listener.on_message(
        f"the calibration of {runtime} is not used: {'; '.join(why)}; "
        f"run: edgewise calibrate --runtime {runtime} --threads {threads}"
    )
    return None
