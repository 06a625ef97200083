"""Pinning this process to cores, and watching who else uses them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil


def pin(num_cores: int) -> list[int]:
    """Keep this process on its last ``num_cores`` usable cores; returns them, or all cores where pinning is unknown.

    The last ones, because systems tend to serve interrupts on the first.
    """
    if not hasattr(os, "sched_setaffinity"):
        return list(range(os.cpu_count() or 1))
    cores = sorted(os.sched_getaffinity(0))[-num_cores:]
    os.sched_setaffinity(0, cores)
    return cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Seconds over one stretch of time.

    Attributes:
        wall_s: length of the stretch.
        process_s: processor time of this process.
        cores_busy_s: time that the watched cores were busy with anything.
        machine_busy_s: time that all cores were busy with anything, summed over the cores.
        num_watched: how many cores were watched.
        num_cores: how many cores there are.
    """

    wall_s: float
    process_s: float
    cores_busy_s: float
    machine_busy_s: float
    num_watched: int
    num_cores: int


class Watch:
    """A stopwatch for processor use; `stop` returns what passed since `start`."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self._started = self._now()

    def start(self) -> None:
        """Begin a stretch."""
        self._started = self._now()

    def stop(self) -> Occupancy:
        """End the stretch and return it."""
        before, after = self._started, self._now()
        num_cores = len(after[2])
        return Occupancy(
            wall_s=after[0] - before[0],
            process_s=after[1] - before[1],
            cores_busy_s=sum(after[2][core] - before[2][core] for core in self._cores if core < num_cores),
            machine_busy_s=sum(after[2]) - sum(before[2]),
            num_watched=len(self._cores),
            num_cores=num_cores,
        )

    @staticmethod
    def _now() -> tuple[float, float, list[float]]:
        busy = [_busy_s(times) for times in psutil.cpu_times(percpu=True)]
        return time.perf_counter(), time.process_time(), busy


def _busy_s(times: Any) -> float:
    """Return all but idle time; guests are counted within user time already."""
    not_busy = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(times)) - sum(getattr(times, name, 0.0) for name in not_busy)
