"""Pinning this process to cores, and watching who else uses them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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


def waited_s(tasks: Path = Path("/proc/self/task")) -> float | None:
    """Return for how long the threads of this process were ready to run and had no core, in all; None where Linux does not tell.

    Unlike processor time it is exact within milliseconds, and tells waiting for a core from sleeping.
    """
    waited_ns = []
    for task in tasks.glob("*/schedstat"):
        try:
            waited_ns.append(int(task.read_text().split()[1]))
        except (OSError, IndexError):  # a thread that ended meanwhile
            continue
    return sum(waited_ns) / 1e9 if waited_ns else None


def share_lost(occupancy: Occupancy, waited: float | None) -> float:
    """Return the share of its cores' time that a process lost to others in a stretch of time, 0-1.

    It is what its threads waited for a core, or what it did not use of them, whichever is less: a thread may also wait for the
    core that another one of this process has, and a process may sleep by itself.

    Args:
        occupancy: of the stretch.
        waited: seconds that its threads waited for a core; None where that is unknown.
    """
    had_s = occupancy.wall_s * occupancy.num_watched
    unused_s = had_s - occupancy.process_s
    lost_s = unused_s if waited is None else min(unused_s, waited)
    return min(1.0, max(0.0, lost_s / had_s))


def _busy_s(times: Any) -> float:
    """Return all but idle time; guests are counted within user time already."""
    not_busy = ("idle", "iowait", "guest", "guest_nice")
    return float(sum(times)) - sum(getattr(times, name, 0.0) for name in not_busy)
