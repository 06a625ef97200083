"""From a calibration's samples to a profile: the fit, and what it is worth on networks that it has not seen."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from edgewise.cost.latency_model import Fit
from edgewise.cost.left_out import Matrix, left_out
from edgewise.records.cost import KernelCost
from edgewise.records.environment import Environment
from edgewise.records.latency_profile import LatencyProfile, Sample

NORMAL_90 = 1.645


def profile_of(
    samples: Sequence[Sample],
    kernels: Sequence[Sequence[KernelCost]],
    *,
    runtime: str,
    threads: int,
    fusion: str,
    reference_kernel: str,
    environment: Environment,
) -> LatencyProfile:
    """Fit the samples, and judge the fit by leaving a fifth of them out five times.

    Args:
        samples: latencies.
        kernels: of each sample's network, formed by ``fusion``.
        runtime: that was timed.
        threads: of one call.
        fusion: name of the fusion model.
        reference_kernel: name of the bench's reference kernel.
        environment: of the calibration.
    """
    reference_ms = statistics.median(sample.reference_ms for sample in samples)
    latency_us = [1e3 * sample.at_speed(reference_ms) for sample in samples]

    def predict(others: Sequence[int], held: Sequence[int]) -> Matrix:
        part = Fit([kernels[at] for at in others], [latency_us[at] for at in others])
        return part.predicted_us([kernels[at] for at in held])

    errors = np.log(left_out(len(kernels), predict)) - np.log(latency_us)
    fit = Fit(kernels, latency_us)
    return LatencyProfile(
        runtime=runtime,
        threads=threads,
        fusion=fusion,
        environment=environment,
        reference_kernel=reference_kernel,
        reference_ms=reference_ms,
        constant_us=float(np.exp(fit.parameters[0])),
        kernels=fit.models(),
        # a third of the file; four digits say all that is known of a doubt
        covariance=tuple(tuple(float(f"{each:.4g}") for each in row) for row in fit.covariance.tolist()),
        noise=float(np.quantile(np.abs(errors), 0.9) / NORMAL_90),
        median_error=float(np.median(np.abs(np.expm1(errors)))),
        within_10_percent=float((np.abs(np.expm1(errors)) <= 0.1).mean()),
        samples=tuple(samples),
    )
