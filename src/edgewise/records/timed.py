"""A quick latency with the machine's speed beside it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgewise.records.op_time import OpTime
from edgewise.records.record import Record

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Timed(Record):
    """The median call of the fastest block, as a disturbance only ever adds time, and the reference kernel's fastest time."""

    latency_ms: Positive
    """At the machine's speed at that moment."""
    reference_ms: Positive
    """The bench's reference kernel beside it."""
    ops: tuple[OpTime, ...] = ()
    """Operators in the order in which they run, in a profile of the same file; empty where none was asked for or the runtime has no
    profiler."""

    def at_speed(self, reference_ms: float) -> float:
        """Return the latency in ms of a machine on which the reference kernel takes ``reference_ms``."""
        return self.latency_ms * self.slowness(reference_ms)

    def slowness(self, reference_ms: float) -> float:
        """Return how many times as slow a machine is on which the reference kernel takes ``reference_ms``."""
        return reference_ms / self.reference_ms
