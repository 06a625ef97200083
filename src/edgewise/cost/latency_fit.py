"""From a calibration's samples to a profile: the fit, and what it is worth on networks that it has not seen."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from edgewise.cost.kernel_process import CONSTANT_US, Process, fit_processes
from edgewise.cost.kernel_table import KernelTable, Matrix, table_of
from edgewise.cost.latency_corrections import Corrector
from edgewise.cost.latency_model import Fit, GroupModel
from edgewise.cost.left_out import left_out
from edgewise.cost.op_alignment import kernel_times
from edgewise.records.cost import KernelCost
from edgewise.records.environment import Environment
from edgewise.records.latency_profile import LatencyProfile, Sample

MEDIAN: Final = 0.6745
"""Standard deviations within which half of all normal values are."""


class LatencyFit:
    """Prices of kernels, and the corrections that latencies ask for."""

    def __init__(self, table: KernelTable, latency_us: Matrix, *, by_kernel: bool) -> None:
        """Fit.

        Args:
            table: the networks.
            latency_us: of each, at one speed of the machine.
            by_kernel: the table holds times of kernels.
        """
        self.prices: Mapping[str, Process | GroupModel]
        if by_kernel:
            self.prices, constant_us = fit_processes(table), CONSTANT_US
        else:
            sums = Fit(table, latency_us)
            self.prices = {model.group: GroupModel(model) for model in sums.models()}
            constant_us = sums.constant_us
        self.corrector = Corrector.fitted(table, self._logs(table), constant_us, latency_us)

    def predicted(self, table: KernelTable) -> tuple[Matrix, Matrix]:
        """Return the latency of each network in µs and the standard deviation of its logarithm.

        The deviation is infinite where a network has kernels of a group that has no price.
        """
        found = self.corrector.corrected(table, self._logs(table))
        sd = found.sd.copy()
        for group, rows in table.rows.items():
            if group not in self.prices:
                sd[rows.network] = np.inf
        return found.latency_us, sd

    def _logs(self, table: KernelTable) -> dict[str, Matrix]:
        return {group: self.prices[group].logs(rows) for group, rows in table.rows.items() if group in self.prices}


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
    table, latency_us, by_kernel = measured(samples, kernels, reference_ms)
    errors, sds = _left_out(table, latency_us, by_kernel=by_kernel)
    fit = LatencyFit(table, latency_us, by_kernel=by_kernel)
    sizes = np.abs(np.expm1(errors))
    records = tuple(price.record for price in fit.prices.values())
    known = np.isfinite(sds)
    return LatencyProfile(
        runtime=runtime,
        threads=threads,
        fusion=fusion,
        environment=environment,
        reference_kernel=reference_kernel,
        reference_ms=reference_ms,
        **{"processes" if by_kernel else "kernels": records},
        corrections=fit.corrector.record,
        doubt_factor=float(np.median(np.abs(errors[known]) / sds[known]) / MEDIAN),
        median_error=float(np.median(sizes)),
        within_10_percent=float((sizes <= 0.1).mean()),
        # the operators of all samples would be most of the file
        samples=tuple(sample.model_copy(update={"ops": ()}) for sample in samples),
    )


def measured(
    samples: Sequence[Sample], kernels: Sequence[Sequence[KernelCost]], reference_ms: float
) -> tuple[KernelTable, Matrix, bool]:
    """Return the networks, their latencies in µs at the speed of ``reference_ms``, and whether single kernels were timed."""
    latency_us = np.array([1e3 * sample.at_speed(reference_ms) for sample in samples])
    if not all(sample.ops for sample in samples):
        return table_of(kernels), latency_us, False
    times_us = [
        [time and time * sample.slowness(reference_ms) for time in kernel_times(own, sample.ops)]
        for own, sample in zip(kernels, samples, strict=True)
    ]
    return table_of(kernels, times_us), latency_us, True


def _left_out(table: KernelTable, latency_us: Matrix, *, by_kernel: bool) -> tuple[Matrix, Matrix]:
    """Return how far the logarithm of each latency is off by a fit to others, and the deviation that was expected."""
    sds = np.zeros(table.num_networks)

    def predict(others: Sequence[int], held: Sequence[int]) -> Matrix:
        fit = LatencyFit(table.part(others), latency_us[others], by_kernel=by_kernel)
        predicted, sds[held] = fit.predicted(table.part(held))
        return predicted

    return np.log(left_out(table.num_networks, predict) / latency_us), sds
