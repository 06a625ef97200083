"""From a calibration's samples to a profile: the fit, and what it is worth on networks that it has not seen."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgewise.cost.kernel_process import ProcessFit, Timed, worth
from edgewise.cost.latency_model import Fit
from edgewise.cost.left_out import Matrix, left_out
from edgewise.cost.op_alignment import kernel_times
from edgewise.records.cost import KernelCost
from edgewise.records.environment import Environment
from edgewise.records.latency_profile import LatencyProfile, Sample

NORMAL_90 = 1.645
SCATTER = 0.3
"""Of single kernels of a group that was left out as a whole."""


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
    fields = {
        "runtime": runtime,
        "threads": threads,
        "fusion": fusion,
        "environment": environment,
        "reference_kernel": reference_kernel,
        "reference_ms": reference_ms,
        # the operators of all samples would be most of the file
        "samples": tuple(sample.model_copy(update={"ops": ()}) for sample in samples),
    }
    if all(sample.ops for sample in samples):
        times_us = [
            [time and time * sample.slowness(reference_ms) for time in kernel_times(own, sample.ops)]
            for own, sample in zip(kernels, samples, strict=True)
        ]
        return _of_kernels(fields, kernels, times_us, latency_us)
    return _of_sums(fields, kernels, latency_us)


def _of_kernels(
    fields: dict[str, Any],
    kernels: Sequence[Sequence[KernelCost]],
    times_us: Sequence[Timed],
    latency_us: Sequence[float],
) -> LatencyProfile:
    """Fit the times of single kernels."""
    found = worth(kernels, times_us, latency_us)
    fit = ProcessFit(kernels, times_us, latency_us)
    return LatencyProfile(
        **fields,
        **_errors(found.errors),
        constant_us=0.0,
        kernels=(),
        processes=tuple(
            process.record.model_copy(update={"scatter": found.scatter.get(group, SCATTER)})
            for group, process in fit.processes.items()
        ),
        call_us=fit.call_us,
        kernel_us=fit.kernel_us,
        factor=fit.factor,
        noise=found.noise,
    )


def _of_sums(
    fields: dict[str, Any], kernels: Sequence[Sequence[KernelCost]], latency_us: Sequence[float]
) -> LatencyProfile:
    """Fit the times of whole networks."""

    def predict(others: Sequence[int], held: Sequence[int]) -> Matrix:
        part = Fit([kernels[at] for at in others], [latency_us[at] for at in others])
        return part.predicted_us([kernels[at] for at in held])

    errors = np.log(left_out(len(kernels), predict)) - np.log(latency_us)
    fit = Fit(kernels, latency_us)
    return LatencyProfile(
        **fields,
        **_errors(errors),
        constant_us=float(np.exp(fit.parameters[0])),
        kernels=fit.models(),
        # a third of the file; four digits say all that is known of a doubt
        covariance=tuple(tuple(float(f"{each:.4g}") for each in row) for row in fit.covariance.tolist()),
        noise=float(np.quantile(np.abs(errors), 0.9) / NORMAL_90),
    )


def _errors(errors: Matrix) -> dict[str, float]:
    """Return the fields of a profile that say how far logarithms of left-out latencies were off."""
    sizes = np.abs(np.expm1(errors))
    return {"median_error": float(np.median(sizes)), "within_10_percent": float((sizes <= 0.1).mean())}
