"""An additive latency model of a search space, from networks that were measured whole.

Source of the form: TuNAS (arXiv 2008.06120), section 3: a linear model on one-hot choices, fitted by regression to measured networks.
Predicted costs, where there are any, are what the regression starts from.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgewise.cost.left_out import Matrix, left_out

SPREAD = 0.5
"""Standard deviation of an option's cost around its prior, as a share of the spread of all priors or latencies."""
NOISE = 0.02
"""Of a latency, as a fraction."""


class AdditiveModel:
    """Costs of options, fitted to latencies."""

    def __init__(
        self, num_options: Sequence[int], genotypes: Sequence[Sequence[int]], latency_ms: Sequence[float], prior: Matrix
    ) -> None:
        """Fit.

        Args:
            num_options: of each decision.
            genotypes: of the measured networks.
            latency_ms: of each.
            prior: expected cost of every option, decision after decision; zeros where nothing is known.
        """
        self._starts = np.concatenate([[0], np.cumsum(num_options)[:-1]]).astype(int)
        self._num_options = int(sum(num_options))
        latencies = np.asarray(latency_ms, np.float64)
        rows = self._rows(genotypes)
        known = bool(np.any(prior))
        # unknown: a constant, a factor on the prior, what each option costs beyond it
        design = np.concatenate([np.ones((len(rows), 1)), (rows @ prior)[:, None], rows], axis=1)
        scale = SPREAD * (float(np.std(prior)) if known else float(np.std(latencies)) / np.sqrt(len(num_options)))
        strength = np.concatenate([[1e-12, 1e-3], np.full(rows.shape[1], 1 / max(scale, 1e-9) ** 2)])
        start = np.zeros(design.shape[1])
        start[1] = 1.0
        weights = 1 / (NOISE * latencies)
        left = (design * weights[:, None]).T @ (design * weights[:, None]) + np.diag(strength)
        right = (design * weights[:, None]).T @ ((latencies - design @ start) * weights)
        found = start + np.linalg.solve(left, right)
        self.constant_ms = float(found[0])
        self.cost_ms = found[1] * prior + found[2:]

    def latency_ms(self, genotypes: Sequence[Sequence[int]]) -> Matrix:
        """Return the sum for each network."""
        return np.asarray(self.constant_ms + self._rows(genotypes) @ self.cost_ms)

    def costs_of(self, decision: int, num_options: int) -> tuple[float, ...]:
        """Return the costs of one decision's options."""
        start = int(self._starts[decision])
        return tuple(self.cost_ms[start : start + num_options].tolist())

    def _rows(self, genotypes: Sequence[Sequence[int]]) -> Matrix:
        places = np.asarray(genotypes, int) + self._starts
        rows = np.zeros((len(genotypes), self._num_options))
        rows[np.arange(len(genotypes))[:, None], places] = 1.0
        return rows


def left_out_errors(
    num_options: Sequence[int], genotypes: Sequence[Sequence[int]], latency_ms: Sequence[float], prior: Matrix
) -> Matrix:
    """Return the relative error of the sum for every network, by a fit to the other four fifths."""

    def predict(others: Sequence[int], held: Sequence[int]) -> Matrix:
        model = AdditiveModel(num_options, [genotypes[at] for at in others], [latency_ms[at] for at in others], prior)
        return model.latency_ms([genotypes[at] for at in held])

    return np.asarray(left_out(len(genotypes), predict) / np.asarray(latency_ms) - 1)


def extremes(costs: Sequence[Sequence[float]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the fastest and the slowest network of an additive model: decisions do not touch each other, so each is taken by itself."""
    return tuple(int(np.argmin(each)) for each in costs), tuple(int(np.argmax(each)) for each in costs)
