"""Timing many files in few processes, for fits over all of them: each one quickly, the error of one is averaged out by the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewise.bench import worker_process
from edgewise.bench.statistics import block_medians
from edgewise.bench.worker_process import WorkerProcess
from edgewise.errors import BenchError, InputError

BLOCKS = 7
BLOCK_MS = 8.0
WARM_UP_S = 0.4
TIMEOUT_S = 60.0
MAX_CALLS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What is timed."""

    path: Path
    input_shape: tuple[int, ...]
    """(N, C, H, W) or (N, H, W, C), as the file takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickTime:
    """The median call of the fastest block, as a disturbance only ever adds time, and the reference kernel's fastest time."""

    latency_ms: float
    reference_ms: float


def time_files(files: Sequence[File], runtime: str, threads: int) -> Iterator[QuickTime | None]:
    """Time ``files`` in one pinned process, one after the other; None for one that cannot be run.

    A process that dies is replaced for the files after the one that killed it.
    """
    left = list(files)
    while left:
        with WorkerProcess(left[0].path, threads, TIMEOUT_S, worker_process.COMMAND) as worker:
            try:
                while left:
                    file = left.pop(0)
                    yield _timed(worker, file, runtime, threads)
            except BenchError:
                yield None


def _timed(worker: WorkerProcess, file: File, runtime: str, threads: int) -> QuickTime | None:
    try:
        worker.ask(
            "load",
            path=str(file.path),
            runtime=runtime,
            threads=threads,
            batch=file.input_shape[0],
            input_shape=file.input_shape,
        )
    except InputError:
        return None
    call_ms = worker.ask("warm_up", max_s=WARM_UP_S)["call_ms"]
    num_calls = min(MAX_CALLS, max(1, round(BLOCK_MS / call_ms)))
    blocks = [worker.ask("block", num_calls=num_calls) for _ in range(BLOCKS)]
    return QuickTime(
        latency_ms=float(block_medians([tuple(block["samples_ms"]) for block in blocks]).min()),
        reference_ms=min(block["reference_ms"] for block in blocks),
    )
