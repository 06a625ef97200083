"""What the latencies of whole networks say on top of the prices of their kernels: by how much each sort of kernel is off in its place.

A kernel in a network takes another time than under a profiler, or than a smooth function of its sizes says. Of each group a Gaussian
process over the traits says the logarithm of that factor. Its data are no kernels but latencies: to first order, the logarithm of a latency
moves by its kernels' factors, each by its share of the time. So the gaps that the prices leave are jointly normal, and the factor of any
kernel is normal given the gaps (Rasmussen and Williams, 2006, section 2.2; linear functionals of a process: Särkkä, 2011). Shares and
factors are found by Gauss and Newton's steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np

from edgewise.cost.kernel_table import KernelTable, Matrix, Places
from edgewise.cost.scaling import Scaling
from edgewise.records.latency_profile import Correction, Corrections

SPREAD: Final = 0.15
"""Standard deviation of the level of a group's factors, as logarithms, and of what changes in them."""
LENGTH: Final = 2.5
"""Over which a factor changes; traits are scaled to one."""
SLOPE: Final = 0.3
"""Variance of its linear part, beside 1 for its level and 1 for what changes."""
NOISE: Final = 0.02
"""Of a latency."""
KERNEL_NOISE: Final = 0.15
"""Of a single kernel's factor, which no other kernel shares."""
CALL: Final = 0.5
"""Standard deviation of the logarithm of a call's constant."""
FAR: Final = 3.0
"""Standard deviations beyond which a gap counts less: a disturbed sample is not to bend the rest."""
LARGEST_STEP: Final = 1.0
NUM_STEPS: Final = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Distinct kernels of one group, those of a network behind each other.

    Attributes:
        scaling: of the group's traits in the calibration.
        points: traits, scaled.
        network: that each belongs to.
        spread: standard deviation of what a factor's level and what changes in it may come to.
    """

    scaling: Scaling
    points: Matrix
    network: Places
    spread: float

    def covariance(self, points: Matrix) -> Matrix:
        """Return that of the factors at ``points`` and at the group's own."""
        return _covariance(points, self.points, self.spread)


def _covariance(one: Matrix, other: Matrix, spread: float) -> Matrix:
    products = one @ other.T
    distances = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * products
    covariance: Matrix = spread**2 * (np.exp(-np.maximum(distances, 0.0) / (2 * LENGTH**2)) + 1 + SLOPE * products)
    return covariance


def _by_network(columns: Matrix, network: Places, num_networks: int) -> Matrix:
    """Return (rows, networks), the sums of the columns of each network."""
    found = np.zeros((len(columns), num_networks))
    networks, starts = np.unique(network, return_index=True)
    found[:, networks] = np.add.reduceat(columns, starts, axis=1)
    return found


@dataclass(frozen=True, slots=True)
class Factors:
    """By what the kernels of networks are to be multiplied.

    Attributes:
        factors: of each group's kernels.
        latency_us: of each network, with them.
        sd: standard deviation of its logarithm.
    """

    factors: Mapping[str, Matrix]
    latency_us: Matrix
    sd: Matrix


class Corrector:
    """`Corrections`, ready to correct prices."""

    def __init__(self, record: Corrections) -> None:
        self.record = record
        self._groups = {
            each.group: Group(
                Scaling.of_record(each), np.array(each.points), np.array(each.networks, np.intp), record.spread
            )
            for each in record.groups
        }
        self._shares = {each.group: np.array(each.shares) for each in record.groups}
        self._call_shares, self._gaps = np.array(record.call_shares), np.array(record.gaps)

    @cached_property
    def _precision(self) -> Matrix:
        """Return the inverse of the gaps' covariance."""
        lower = np.zeros((len(self._gaps), len(self._gaps)))
        lower[np.tril_indices(len(self._gaps))] = [value for row in self.record.covariance for value in row]
        precision: Matrix = np.linalg.inv(lower + np.tril(lower, -1).T).astype(np.float64)
        return precision

    def corrected(self, table: KernelTable, logs: Mapping[str, Matrix]) -> Factors:
        """Correct prices.

        Args:
            table: the networks.
            logs: of the groups that have prices, the logarithm of each kernel's time in µs.
        """
        num, solved = len(self._gaps), self._precision @ self._gaps
        priced = [group for group in logs if group in self._groups]
        points = {group: self._groups[group].scaling.scaled(table.rows[group].traits) for group in priced}
        # (kernels, networks of the calibration): how each factor and each gap move together
        joint = {
            group: _by_network(
                self._groups[group].covariance(points[group]) * self._shares[group], self._groups[group].network, num
            )
            for group in priced
        }
        factors = {
            group: np.exp(joint[group] @ solved) if group in joint else np.ones(len(own)) for group, own in logs.items()
        }
        times = {group: np.exp(own) * factors[group] for group, own in logs.items()}
        latency_us = self.record.constant_us + table.sums(times)
        call = self.record.constant_us / latency_us
        prior, single = CALL**2 * call**2, np.zeros(table.num_networks)
        both = CALL**2 * np.outer(call, self._call_shares)
        for group in priced:
            rows = table.rows[group]
            shares = times[group] / latency_us[rows.network]
            np.add.at(both, rows.network, shares[:, None] * joint[group])
            for number in np.unique(rows.network):
                own, part = points[group][at := rows.network == number], shares[at]
                prior[number] += part @ _covariance(own, own, self.record.spread) @ part
                _, same = np.unique(own.round(4), axis=0, return_inverse=True)
                single[number] += KERNEL_NOISE**2 * (np.bincount(same.ravel(), part) ** 2).sum()
        explained = ((both @ self._precision) * both).sum(1)
        variance = NOISE**2 + single + np.maximum(prior - explained, 0.0)
        return Factors(factors, latency_us, np.sqrt(variance))

    @classmethod
    def fitted(
        cls,
        table: KernelTable,
        logs: Mapping[str, Matrix],
        constant_us: float,
        latency_us: Sequence[float] | Matrix,
        spread: float = SPREAD,
    ) -> Self:
        """Find corrections.

        Args:
            table: the networks that were timed.
            logs: of the groups that have prices, the logarithm of each kernel's time in µs.
            constant_us: what a call is taken to cost besides.
            latency_us: of each network.
            spread: standard deviation of the level of a group's factors, as logarithms.
        """
        return cls(_Found(table, logs, constant_us, np.asarray(latency_us, np.float64), spread).record())


class _Found:
    """Gauss and Newton's steps."""

    def __init__(
        self, table: KernelTable, logs: Mapping[str, Matrix], constant_us: float, latency_us: Matrix, spread: float
    ) -> None:
        self._num, self._latency_us, self._spread = table.num_networks, latency_us, spread
        self._groups: dict[str, Group] = {}
        self._logs: dict[str, Matrix] = {}
        self._counts: dict[str, Matrix] = {}
        for group, own in logs.items():
            rows, scaling = table.rows[group], Scaling.of(table.rows[group].traits)
            points = scaling.scaled(rows.traits).round(4)
            _, first, counts = np.unique(
                np.column_stack([rows.network, points, own.round(6)]), axis=0, return_index=True, return_counts=True
            )
            self._groups[group] = Group(scaling, points[first], rows.network[first], spread)
            self._logs[group], self._counts[group] = own[first], counts.astype(np.float64)
        self._joint_points = {group: each.covariance(each.points) for group, each in self._groups.items()}
        self._factors = {group: np.zeros(len(own)) for group, own in self._logs.items()}
        self._constant_us, self._call = constant_us, 0.0
        self._trust = np.ones(self._num)
        for _ in range(NUM_STEPS):
            self._step()

    def _predicted(self) -> tuple[dict[str, Matrix], Matrix]:
        """Return the time of each distinct kernel, as often as it is there, and of each network."""
        times = {
            group: self._counts[group] * np.exp(np.clip(own + self._factors[group], -8.0, 16.0))
            for group, own in self._logs.items()
        }
        totals = np.full(self._num, self._constant_us * math.exp(self._call))
        for group, own in times.items():
            totals += np.bincount(self._groups[group].network, own, self._num)
        return times, totals

    def _step(self) -> None:
        times, totals = self._predicted()
        self._call_shares = self._constant_us * math.exp(self._call) / totals
        self._shares = {group: own / totals[self._groups[group].network] for group, own in times.items()}
        self._gaps = np.log(self._latency_us / totals) + self._call_shares * self._call
        own_noise = np.full(self._num, NOISE**2)
        covariance = CALL**2 * np.outer(self._call_shares, self._call_shares)
        joint = {}
        for group, shares in self._shares.items():
            network = self._groups[group].network
            joint[group] = _by_network(self._joint_points[group] * shares, network, self._num)
            covariance += _by_network((shares[:, None] * joint[group]).T, network, self._num).T
            self._gaps += np.bincount(network, shares * self._factors[group], self._num)
            own_noise += KERNEL_NOISE**2 * np.bincount(network, shares**2, self._num)
        self._covariance = covariance + np.diag(own_noise / self._trust)
        solved = np.linalg.solve(self._covariance, self._gaps)
        for group, each in joint.items():
            change = each @ solved - self._factors[group]
            self._factors[group] = self._factors[group] + np.clip(change, -LARGEST_STEP, LARGEST_STEP)
        longer = CALL**2 * float(self._call_shares @ solved) - self._call
        self._call += min(LARGEST_STEP, max(-LARGEST_STEP, longer))
        left = np.abs(np.log(self._latency_us / self._predicted()[1]))
        self._trust = np.minimum(1.0, (FAR * np.sqrt(own_noise) / np.maximum(left, 1e-9)) ** 2)

    def record(self) -> Corrections:
        """Return what was found, in as many digits as it is known to."""
        rows = [self._covariance[at, : at + 1].tolist() for at in range(self._num)]
        return Corrections(
            spread=self._spread,
            constant_us=self._constant_us * math.exp(self._call),
            groups=tuple(
                Correction(
                    group=group,
                    **each.scaling.fields(),
                    points=tuple(map(tuple, each.points.tolist())),
                    networks=tuple(each.network.tolist()),
                    shares=tuple(float(f"{share:.5g}") for share in self._shares[group]),
                )
                for group, each in self._groups.items()
            ),
            call_shares=tuple(float(f"{share:.5g}") for share in self._call_shares),
            gaps=tuple(float(f"{gap:.6g}") for gap in self._gaps),
            covariance=tuple(tuple(float(f"{value:.8g}") for value in row) for row in rows),
        )
