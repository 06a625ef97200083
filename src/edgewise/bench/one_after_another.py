"""Timing many files in few processes, for fits over all of them: each one quickly, the error of one is averaged out by the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from edgewise.bench import worker_process
from edgewise.bench.case import Case, Plan
from edgewise.bench.launch import Bench, Series
from edgewise.bench.statistics import block_medians
from edgewise.bench.worker_process import WorkerProcess
from edgewise.errors import BenchError, InputError
from edgewise.records.timed import Timed

PLAN: Final = Plan(min_blocks=7, block_ms=8.0, max_s_per_case=0.4, timeout_s=60.0)
"""Of one file: its warm-up takes 0.4 s at most."""

PROFILE_S: Final = 0.1
"""Of calls under the runtime's profiler, where it has one."""


def time_files(cases: Sequence[Case], *, with_operators: bool = False) -> Iterator[Timed | None]:
    """Time ``cases`` in one pinned process, one after the other; None for one that cannot be run.

    A process that dies is replaced for the files after the one that killed it. All cases have the same number of threads.

    Args:
        cases: what to time.
        with_operators: time the operators of each too, where the runtime has a profiler; each file is loaded again for it.
    """
    left = list(cases)
    while left:
        with WorkerProcess(left[0].path, left[0].threads, PLAN.timeout_s, worker_process.COMMAND) as worker:
            try:
                while left:
                    yield _timed(left.pop(0), worker, with_operators=with_operators)
            except BenchError:
                yield None


def _timed(case: Case, worker: WorkerProcess, *, with_operators: bool) -> Timed | None:
    try:
        bench = Bench(case, worker, PLAN)
    except InputError:
        return None
    series = Series()
    bench.join(series)
    for _ in range(PLAN.min_blocks):
        bench.take_block(series)
    return Timed(
        latency_ms=float(block_medians(series.samples_ms).min()),
        reference_ms=min(series.reference_ms),
        ops=bench.operator_times(PROFILE_S) if with_operators else (),
    )
