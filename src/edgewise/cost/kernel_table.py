"""The kernels of several networks as arrays, group by group: what latency predictors are fitted to and predict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.latency_features import NAMES, flags_of, group_of, sizes_of, traits_of
from edgewise.records.cost import KernelCost

Matrix = NDArray[np.float64]
Places = NDArray[np.intp]

Times = Sequence[float | None]
"""Of each kernel of a network, in µs; None where a profile has none."""


@dataclass(frozen=True, slots=True)
class KernelRows:
    """The kernels of one group, those of a network behind each other.

    Attributes:
        network: which network each belongs to.
        place: of each in its network.
        traits: (kernels, traits): `NAMES` first, then those of `traits_of`, then the bytes of the whole network's weights as a
            base-two logarithm, since they decide what stays in the caches.
        flags: (kernels, `FLAGS`).
        times_us: of each under a profiler; NaN where there is none.
    """

    network: Places
    place: Places
    traits: Matrix
    flags: Matrix
    times_us: Matrix

    @property
    def sizes(self) -> Matrix:
        """Return (kernels, `NAMES`)."""
        return self.traits[:, : len(NAMES)]

    def part(self, new_numbers: Places) -> Self:
        """Return the kernels of those networks whose new number is not negative."""
        kept = new_numbers[self.network] >= 0
        return type(self)(
            new_numbers[self.network[kept]], self.place[kept], self.traits[kept], self.flags[kept], self.times_us[kept]
        )


@dataclass(frozen=True, slots=True)
class KernelTable:
    """The kernels of several networks; those that cost nothing are left out."""

    num_networks: int
    rows: Mapping[str, KernelRows]
    """Of each group."""

    def part(self, networks: Sequence[int]) -> KernelTable:
        """Return the table of ``networks`` alone, which are in ascending order."""
        new_numbers = np.full(self.num_networks, -1, np.intp)
        new_numbers[networks] = np.arange(len(networks))
        parts = {group: rows.part(new_numbers) for group, rows in self.rows.items()}
        return KernelTable(len(networks), {group: rows for group, rows in parts.items() if len(rows.network)})

    def sums(self, values: Mapping[str, Matrix]) -> Matrix:
        """Return of each network the sum over its kernels of the groups in ``values``."""
        totals = np.zeros(self.num_networks)
        for group, own in values.items():
            totals += np.bincount(self.rows[group].network, own, self.num_networks)
        return totals


def table_of(networks: Sequence[Sequence[KernelCost]], times_us: Sequence[Times] | None = None) -> KernelTable:
    """Arrange the kernels of ``networks``, with what each took where that is known."""
    found: dict[str, list[tuple[int, int, tuple[float, ...], tuple[float, ...], float]]] = {}
    for number, kernels in enumerate(networks):
        weights = math.log2(1 + sum(kernel.weight_bytes for kernel in kernels))
        for place, kernel in enumerate(kernels):
            if (group := group_of(kernel)) is not None:
                time = None if times_us is None else times_us[number][place]
                traits = (*sizes_of(kernel), *traits_of(kernel), weights)
                row = (number, place, traits, flags_of(kernel), math.nan if time is None else time)
                found.setdefault(group, []).append(row)
    rows = {}
    for group, each in found.items():
        numbers, places, traits, flags, times = zip(*each, strict=True)
        rows[group] = KernelRows(
            np.array(numbers, np.intp), np.array(places, np.intp), np.array(traits), np.array(flags), np.array(times)
        )
    return KernelTable(len(networks), rows)
