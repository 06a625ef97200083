"""Running a command with its wall time and the peak memory of its whole process tree."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_S = 0.2
"""Often enough to see a child that lives for half a second; costs under 1 % of a core."""


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    stdout: str
    wall_s: float
    largest_rss_bytes: int
    """Of the largest single process of the tree, exact, from the kernel (`getrusage`)."""
    tree_rss_bytes: int
    """Largest sum over the tree at one moment, sampled; pages that processes share are counted in each."""

    @property
    def peak_rss_bytes(self) -> int:
        """The larger, and so the stricter, of the two."""
        return max(self.largest_rss_bytes, self.tree_rss_bytes)


def run_measured(command: Sequence[str], cwd: Path) -> Finished:
    """Run ``command`` to its end in ``cwd``; its standard error goes to ours. Call once a process: the peak is of all children.

    Raises:
        SystemExit: the command failed; with its exit code.
    """
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True)
    watch = _TreeWatch(process.pid)
    stdout, _ = process.communicate()
    wall_s = time.monotonic() - begun
    tree = watch.stop()
    if process.returncode:
        sys.stderr.write(stdout)
        raise SystemExit(process.returncode)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Finished(stdout, wall_s, largest, tree)


class _TreeWatch:
    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self.peak

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_S):
            self.peak = max(self.peak, _tree_rss(self._pid))


def _tree_rss(pid: int) -> int:
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:  # ended between the listing and the look
            continue
    return total


def edgewise_program() -> str:
    """Return the path of the `edgewise` program beside the running Python."""
    program = Path(sys.executable).parent / ("edgewise.exe" if os.name == "nt" else "edgewise")
    if not program.exists():
        raise SystemExit(f"no edgewise beside {Path(sys.executable).name}; run `make setup` and use .venv/bin/python")
    return str(program)
