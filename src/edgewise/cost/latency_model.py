"""Kernel times from the latencies of whole networks.

Only whole networks are timed, so the times of their kernels are found together: the sum over a network's kernels is to be its latency, for
all networks at once, by least squares of logarithms (Levenberg-Marquardt on a model that is smooth in its parameters). The parameters of
a group of kernels are pulled towards a plain roofline, which is what remains far from anything that was sampled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewise.cost.kernel_table import KernelRows, KernelTable, Matrix, Places
from edgewise.cost.latency_features import FLAGS, NAMES, PLAIN_ROOF, roof_parts
from edgewise.cost.scaling import Scaling
from edgewise.records.latency_profile import KernelModel

PRODUCTS: Final = (
    ("inputs", "inputs"),
    ("outputs", "outputs"),
    ("map", "map"),
    ("inputs", "outputs"),
    ("inputs", "map"),
    ("outputs", "map"),
    ("window", "inputs"),
    ("window", "map"),
    ("macs", "macs"),
    ("moved", "moved"),
    ("weights", "weights"),
)
NUM_ROOF: Final = len(PLAIN_ROOF)
"""Parameters of the roofline: logarithms of overhead, of µs a MAC, of µs a byte."""
NUM_TERMS: Final = len(NAMES) + len(PRODUCTS) + len(FLAGS)
SPREAD_ROOF: Final = 2.0
SPREAD_TERM: Final = 0.1
"""Standard deviations of the parameters' prior; sizes are scaled to one."""
WIDTH: Final = NUM_ROOF + NUM_TERMS
"""Parameters of a group."""
SIGMA: Final = 0.03
"""What a latency is taken to be off by, as a fraction, by its measurement and by what the model cannot say."""
FAR: Final = 3.0
"""Multiples of it beyond which a gap counts in proportion only: a disturbed sample is not to bend the rest."""
DISTURBED: Final = 8.0
"""Times the median gap, from which on a sample is dropped."""
MAX_STEPS: Final = 60


def _terms(scaled: Matrix, flags: Matrix) -> Matrix:
    """Return (kernels, `NUM_TERMS`)."""
    column = {name: scaled[:, at] for at, name in enumerate(NAMES)}
    products = np.stack([column[one] * column[other] for one, other in PRODUCTS], axis=1)
    return np.concatenate([scaled, products, flags], axis=1)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The kernels of one group, with all that does not depend on the parameters."""

    parts: Matrix
    """(kernels, 3): one, MACs, bytes moved."""
    terms: Matrix
    """(kernels, `NUM_TERMS`)"""
    networks: Places
    """Those that have such kernels, in order."""
    starts: Places
    """Where the kernels of each begin."""

    @classmethod
    def of(cls, scaling: Scaling, rows: KernelRows) -> Prepared:
        """Prepare kernels, those of one network behind each other."""
        networks, starts = np.unique(rows.network, return_index=True)
        return cls(roof_parts(rows.sizes), _terms(scaling.scaled(rows.sizes), rows.flags), networks, starts)

    def times(self, parameters: Matrix) -> tuple[Matrix, Matrix]:
        """Return each kernel's three parts in µs, and the factor on their sum."""
        parts = self.parts * np.exp(parameters[:NUM_ROOF])
        return parts, np.exp(np.clip(self.terms @ parameters[NUM_ROOF:], -4.0, 4.0))

    def slopes(self, parts: Matrix, factor: Matrix) -> Matrix:
        """Return the derivatives of each kernel's time by the group's parameters."""
        times = parts.sum(1) * factor
        return np.concatenate([parts * factor[:, None], self.terms * times[:, None]], axis=1)


class GroupModel:
    """A `KernelModel`, ready to price kernels."""

    def __init__(self, record: KernelModel) -> None:
        self.record = record
        self._scaling = Scaling.of_record(record)
        roof = np.log([max(record.overhead_us, 1e-12), 1 / record.macs_per_us, 1 / record.bytes_per_us])
        self._parameters = np.concatenate([roof, record.weights])

    def logs(self, rows: KernelRows) -> Matrix:
        """Return the logarithm of each kernel's time in µs."""
        parts, factor = Prepared.of(self._scaling, rows).times(self._parameters)
        logs: Matrix = np.log(parts.sum(1) * factor)
        return logs


class Fit:
    """Parameters of all groups that a calibration has met, fitted to its latencies."""

    def __init__(self, table: KernelTable, latency_us: Sequence[float] | Matrix) -> None:
        """Fit.

        Args:
            table: the networks.
            latency_us: of each, at one speed of the machine.
        """
        self.groups = sorted(table.rows)
        self.scalings = {group: Scaling.of(table.rows[group].sizes) for group in self.groups}
        self._num_kernels = {group: len(rows.network) for group, rows in table.rows.items()}
        own = [*[SPREAD_ROOF] * NUM_ROOF, *[SPREAD_TERM] * NUM_TERMS]
        self._spread = np.concatenate([[SPREAD_ROOF], np.tile(own, len(self.groups))])
        self._start = np.concatenate(
            [[math.log(10.0)], np.tile([*np.log(PLAIN_ROOF), *[0.0] * NUM_TERMS], len(self.groups))]
        )
        self._wanted = np.log(np.asarray(latency_us, np.float64))
        prepared = self._prepared(table)
        self._trust = np.ones(table.num_networks)
        self._solve(prepared, table.num_networks)
        # a network that the others do not explain at all was disturbed while it was timed
        gaps = np.abs(self._left_out_gaps(prepared, table.num_networks))
        self._trust = np.where(gaps <= DISTURBED * max(SIGMA, float(np.median(gaps))), 1.0, 0.0)
        if not self._trust.all():
            self._solve(prepared, table.num_networks)

    @property
    def constant_us(self) -> float:
        """Return what a call costs whatever the network."""
        return math.exp(self.parameters[0])

    def _prepared(self, table: KernelTable) -> dict[str, Prepared]:
        return {
            group: Prepared.of(self.scalings[group], table.rows[group]) for group in self.groups if group in table.rows
        }

    def _totals(
        self, prepared: Mapping[str, Prepared], num_networks: int, parameters: Matrix, *, slopes_too: bool = True
    ) -> tuple[Matrix, Matrix]:
        """Return the latency of each network in µs, and its derivatives by the parameters (networks, parameters)."""
        constant = math.exp(parameters[0])
        totals = np.full(num_networks, constant)
        slopes = np.zeros((num_networks, len(parameters))) if slopes_too else np.empty((0, 0))
        if slopes_too:
            slopes[:, 0] = constant
        for at, group in enumerate(self.groups):
            if group not in prepared:
                continue
            own, part = prepared[group], slice(1 + at * WIDTH, 1 + (at + 1) * WIDTH)
            parts, factor = own.times(parameters[part])
            totals[own.networks] += np.add.reduceat(parts.sum(1) * factor, own.starts)
            if slopes_too:
                slopes[own.networks, part] = np.add.reduceat(own.slopes(parts, factor), own.starts, axis=0)
        return totals, slopes

    def _left_out_gaps(self, prepared: Mapping[str, Prepared], num_networks: int) -> Matrix:
        """Return how far each network would be off, were it left out; to first order."""
        totals, slopes = self._totals(prepared, num_networks, self.parameters)
        rows = slopes / totals[:, None] / SIGMA
        leverage = np.einsum("np,pq,nq->n", rows, self.covariance, rows, optimize=True)
        return np.asarray((self._wanted - np.log(totals)) / np.maximum(1e-3, 1 - leverage))

    def _solve(self, prepared: Mapping[str, Prepared], num_networks: int) -> None:
        """Find the parameters, and how sure they are."""
        self.parameters = self._solved(prepared, num_networks)
        totals, slopes = self._totals(prepared, num_networks, self.parameters)
        rows = self._trust[:, None] * slopes / totals[:, None] / SIGMA
        self.covariance = np.linalg.inv(rows.T @ rows + np.diag(1 / self._spread**2))

    def _solved(self, prepared: Mapping[str, Prepared], num_networks: int) -> Matrix:
        """Levenberg-Marquardt on the logarithms, with the prior as further rows; far gaps count less."""
        parameters, damping = self._start, 1e-2
        before = self._loss(prepared, num_networks, parameters)
        for _ in range(MAX_STEPS):
            totals, slopes = self._totals(prepared, num_networks, parameters)
            gaps = (self._wanted - np.log(totals)) / SIGMA
            weights = np.sqrt(self._trust * np.minimum(1.0, FAR / np.maximum(np.abs(gaps), 1e-12)))
            rows = weights[:, None] * slopes / totals[:, None] / SIGMA
            hessian = rows.T @ rows + np.diag(1 / self._spread**2)
            slope = rows.T @ (weights * gaps) - (parameters - self._start) / self._spread**2
            while damping < 1e8:
                tried = parameters + np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), slope)
                after = self._loss(prepared, num_networks, tried)
                if after < before:
                    break
                damping *= 4
            else:
                break
            parameters, gain, before = tried, before - after, after
            damping = max(1e-9, damping / 6)
            if gain < 1e-5 * before:
                break
        return parameters

    def _loss(self, prepared: Mapping[str, Prepared], num_networks: int, parameters: Matrix) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            totals, _ = self._totals(prepared, num_networks, parameters, slopes_too=False)
            size = np.abs(self._wanted - np.log(totals)) / SIGMA
            loss = np.sum(self._trust * np.where(size <= FAR, size**2, 2 * FAR * size - FAR**2))
            loss = float(loss + np.sum(((parameters - self._start) / self._spread) ** 2))
        return loss if math.isfinite(loss) else math.inf

    def models(self) -> tuple[KernelModel, ...]:
        """Return what was fitted, for a profile."""
        found = []
        for at, group in enumerate(self.groups):
            begin = 1 + at * WIDTH
            roof = np.exp(self.parameters[begin : begin + NUM_ROOF])
            scaling = self.scalings[group]
            found.append(
                KernelModel(
                    group=group,
                    overhead_us=float(roof[0]),
                    macs_per_us=float(1 / roof[1]),
                    bytes_per_us=float(1 / roof[2]),
                    **scaling.fields(),
                    weights=tuple(self.parameters[begin + NUM_ROOF : begin + WIDTH].tolist()),
                    num_kernels=self._num_kernels[group],
                )
            )
        return tuple(found)
