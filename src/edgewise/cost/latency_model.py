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
from numpy.typing import NDArray

from edgewise.cost.latency_features import FLAGS, NAMES, flags_of, group_of, sizes_of
from edgewise.records.cost import KernelCost
from edgewise.records.latency_profile import KernelModel

Matrix = NDArray[np.float64]

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
NUM_ROOF: Final = 3
"""Parameters of the roofline: logarithms of overhead, of µs a MAC, of µs a byte."""
NUM_TERMS: Final = len(NAMES) + len(PRODUCTS) + len(FLAGS)
PRIOR_ROOF: Final = (math.log(1.0), math.log(1 / 20_000), math.log(1 / 10_000))
"""1 µs a kernel, 20 GMAC/s, 10 GB/s: where a group with few kernels stays."""
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


@dataclass(frozen=True, slots=True)
class Table:
    """The kernels of several networks, group by group.

    Attributes:
        num_networks: rows of the sums.
        network: of each group, which network each kernel belongs to.
        sizes: of each group, (kernels, `NAMES`).
        flags: of each group, (kernels, `FLAGS`).
    """

    num_networks: int
    network: dict[str, NDArray[np.intp]]
    sizes: dict[str, Matrix]
    flags: dict[str, Matrix]


def table_of(networks: Sequence[Sequence[KernelCost]]) -> Table:
    """Arrange the kernels of ``networks``."""
    rows: dict[str, list[tuple[int, tuple[float, ...], tuple[float, ...]]]] = {}
    for place, kernels in enumerate(networks):
        for kernel in kernels:
            if (group := group_of(kernel)) is not None:
                rows.setdefault(group, []).append((place, sizes_of(kernel), flags_of(kernel)))
    return Table(
        num_networks=len(networks),
        network={group: np.array([place for place, _, _ in each], np.intp) for group, each in rows.items()},
        sizes={group: np.array([sizes for _, sizes, _ in each]) for group, each in rows.items()},
        flags={group: np.array([flags for _, _, flags in each]) for group, each in rows.items()},
    )


@dataclass(frozen=True, slots=True)
class Scaling:
    """Where the sizes of a group lie, and how far they spread."""

    centre: Matrix
    scale: Matrix
    low: Matrix
    high: Matrix
    num_kernels: int

    @classmethod
    def of(cls, sizes: Matrix) -> Scaling:
        """Return that of a calibration's kernels."""
        return cls(sizes.mean(0), np.maximum(sizes.std(0), 0.5), sizes.min(0), sizes.max(0), len(sizes))

    @classmethod
    def of_model(cls, model: KernelModel) -> Scaling:
        """Return that of a profile."""
        centre, scale, low, high = (np.array(each) for each in (model.centre, model.scale, model.low, model.high))
        return cls(centre, scale, low, high, model.num_kernels)

    def terms(self, sizes: Matrix, flags: Matrix) -> Matrix:
        """Return (kernels, `NUM_TERMS`); beyond the sampled range a size counts as the range's end does."""
        scaled = (np.clip(sizes, self.low, self.high) - self.centre) / self.scale
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
    networks: NDArray[np.intp]
    """Those that have such kernels, in order."""
    starts: NDArray[np.intp]
    """Where the kernels of each begin."""

    @classmethod
    def of(cls, scaling: Scaling, sizes: Matrix, flags: Matrix, network: NDArray[np.intp]) -> Prepared:
        """Prepare kernels, those of one network behind each other."""
        networks, starts = np.unique(network, return_index=True)
        return cls(_parts(sizes), scaling.terms(sizes, flags), networks, starts)

    def times(self, parameters: Matrix) -> tuple[Matrix, Matrix]:
        """Return each kernel's three parts in µs, and the factor on their sum."""
        parts = self.parts * np.exp(parameters[:NUM_ROOF])
        return parts, np.exp(np.clip(self.terms @ parameters[NUM_ROOF:], -4.0, 4.0))

    def slopes(self, parts: Matrix, factor: Matrix) -> Matrix:
        """Return the derivatives of each kernel's time by the group's parameters."""
        times = parts.sum(1) * factor
        return np.concatenate([parts * factor[:, None], self.terms * times[:, None]], axis=1)


def _parts(sizes: Matrix) -> Matrix:
    """Return one, MACs and bytes moved of each kernel."""
    macs = np.exp2(sizes[:, NAMES.index("macs")])
    moved = np.exp2(sizes[:, NAMES.index("moved")]) + np.exp2(sizes[:, NAMES.index("weights")])
    return np.stack([np.ones(len(sizes)), np.where(macs <= 1, 0.0, macs), moved], axis=1)


class Fit:
    """Parameters of all groups that a calibration has met, fitted to its latencies."""

    def __init__(self, networks: Sequence[Sequence[KernelCost]], latency_us: Sequence[float]) -> None:
        """Fit.

        Args:
            networks: the kernels of each.
            latency_us: of each, at one speed of the machine.
        """
        table = table_of(networks)
        self.groups = sorted(table.network)
        self.scalings = {group: Scaling.of(table.sizes[group]) for group in self.groups}
        own = [*[SPREAD_ROOF] * NUM_ROOF, *[SPREAD_TERM] * NUM_TERMS]
        self._spread = np.concatenate([[SPREAD_ROOF], np.tile(own, len(self.groups))])
        self._start = np.concatenate([[math.log(10.0)], np.tile([*PRIOR_ROOF, *[0.0] * NUM_TERMS], len(self.groups))])
        self._wanted = np.log(np.asarray(latency_us, np.float64))
        prepared = self._prepared(table)
        self._trust = np.ones(table.num_networks)
        self._solve(prepared, table.num_networks)
        # a network that the others do not explain at all was disturbed while it was timed
        gaps = np.abs(self._left_out_gaps(prepared, table.num_networks))
        self._trust = np.where(gaps <= DISTURBED * max(SIGMA, float(np.median(gaps))), 1.0, 0.0)
        if not self._trust.all():
            self._solve(prepared, table.num_networks)

    def predicted_us(self, networks: Sequence[Sequence[KernelCost]]) -> Matrix:
        """Return the latency of each network; kernels of a group that was not met are left out."""
        table = table_of(networks)
        return self._totals(self._prepared(table), table.num_networks, self.parameters)[0]

    def _prepared(self, table: Table) -> dict[str, Prepared]:
        return {
            group: Prepared.of(self.scalings[group], table.sizes[group], table.flags[group], table.network[group])
            for group in self.groups
            if group in table.network
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

    def doubts(self, networks: Sequence[Sequence[KernelCost]]) -> Matrix:
        """Return the standard deviation of the logarithm of each network's prediction that is due to the parameters.

        It is infinite where a network has kernels of a group that was not met.
        """
        table = table_of(networks)
        totals, slopes = self._totals(self._prepared(table), table.num_networks, self.parameters)
        rows = slopes / totals[:, None]
        doubts = np.sqrt(np.einsum("np,pq,nq->n", rows, self.covariance, rows, optimize=True))
        for group in table.network.keys() - set(self.groups):
            doubts[table.network[group]] = math.inf
        return np.asarray(doubts)

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
                    centre=tuple(scaling.centre.tolist()),
                    scale=tuple(scaling.scale.tolist()),
                    low=tuple(scaling.low.tolist()),
                    high=tuple(scaling.high.tolist()),
                    weights=tuple(self.parameters[begin + NUM_ROOF : begin + WIDTH].tolist()),
                    num_kernels=scaling.num_kernels,
                )
            )
        return tuple(found)
