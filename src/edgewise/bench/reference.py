"""A small kernel of known work, timed beside every block: how fast the machine is at that moment.

Shared machines and phones change their clock in steps; a latency without the speed at which it was taken says half.
"""

from __future__ import annotations

import time

import numpy as np

SIDE = 192
REPEATS = 5
NAME = f"numpy float32 matmul {SIDE} x {SIDE}, fastest of {REPEATS}"
"""Times of one kernel alone compare; another one gets another name."""


class ReferenceKernel:
    """One float32 matrix product on one thread, as convolutions are; its operands fit into the second cache."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left, self._right = rng.standard_normal((2, SIDE, SIDE), dtype=np.float32)
        self._out = np.empty_like(self._left)
        self.time_ms()

    def time_ms(self) -> float:
        """Return the ms of the fastest of five products: a process in between makes some slower, another clock all."""
        return min(self._once() for _ in range(REPEATS)) / 1e6

    def _once(self) -> int:
        started = time.perf_counter_ns()
        np.matmul(self._left, self._right, out=self._out)
        return time.perf_counter_ns() - started
