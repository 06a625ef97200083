"""What each choice of a search space costs in time, and how well the sum of choices says what a network takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from edgewise.records.environment import Environment
from edgewise.records.record import Record
from edgewise.records.timed import Timed

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Decision(Record):
    """One choice of the space."""

    path: str
    options: tuple[Any, ...]
    cost_ms: tuple[Finite, ...]
    """Of each option, beyond the constant; the smallest need not be 0."""


class TimedNetwork(Timed):
    """A network of the space that was measured."""

    genotype: tuple[int, ...]


class LatencyTable(Record):
    """``latency = constant + sum of the chosen options' costs``, in one runtime on one machine."""

    version: Literal[1] = 1
    space: str
    runtime: str
    threads: int
    environment: Environment
    reference_ms: float
    """Of the reference kernel, at which latencies are told."""
    constant_ms: Finite
    decisions: tuple[Decision, ...]
    prior: Literal["predicted", "none"]
    """Where the costs started from: this machine's calibration, or nothing."""
    median_error: Finite
    """Of the sum on networks that were left out of the fit, as a fraction."""
    error_95th_percentile: Finite
    min_ms: Finite
    """Of the fastest network of the space, by the table."""
    max_ms: Finite
    fastest: tuple[int, ...]
    slowest: tuple[int, ...]
    networks: tuple[TimedNetwork, ...]

    def latency_ms(self, genotype: tuple[int, ...]) -> float:
        """Return what the table says of a network."""
        return self.constant_ms + sum(
            decision.cost_ms[option] for decision, option in zip(self.decisions, genotype, strict=True)
        )
