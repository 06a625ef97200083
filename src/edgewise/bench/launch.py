"""One case in one process, and its blocks over all processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from edgewise.bench.case import Case, Plan
from edgewise.bench.verdict import Contention
from edgewise.bench.worker_process import WorkerProcess
from edgewise.records.op_time import OpTime

MAX_CALLS = 1000
"""Calls in one block at most; all samples are kept, and thousands of calls of a tiny file say no more."""
MIN_PROFILED = 6
"""Calls of a profile at least."""
WARM_UP_S = 2.0


@dataclass(kw_only=True)
class Series:
    """The blocks of one case as they come in, launch after launch."""

    launch_sizes: list[int] = field(default_factory=list)
    load_ms: list[float] = field(default_factory=list)
    input_shape: tuple[int, ...] = ()
    peak_rss_bytes: int = 0
    placement: dict[str, int] | None = None
    samples_ms: list[tuple[float, ...]] = field(default_factory=list)
    reference_ms: list[float] = field(default_factory=list)
    checksums: list[list[str]] = field(default_factory=list)
    """Of each launch's outputs: processes may round differently, one process may not."""
    occupancies: list[dict[str, float]] = field(default_factory=list)
    spent_s: float = 0.0
    """In the launch that runs."""
    slow_ms: float | None = None
    """Of a call in the first warm-up, where that was more than the plan allows: the case gets no blocks."""

    def contention(self, threads: int) -> Contention:
        """Sum up who had the processor during the blocks."""
        total = {name: sum(one[name] for one in self.occupancies) for name in self.occupancies[0]}
        num_cores, num_watched = self.occupancies[0]["num_cores"], self.occupancies[0]["num_watched"]
        own_s = total["process_s"]
        return Contention(
            cpu_share=own_s / total["wall_s"] if threads == 1 else None,
            others_on_cores=(total["cores_busy_s"] - own_s) / (total["wall_s"] * num_watched),
            others_on_machine=(total["machine_busy_s"] - own_s) / (total["wall_s"] * num_cores),
        )


class Bench:
    """One case in its worker: loaded, warm, and ready to take its turns."""

    def __init__(self, case: Case, worker: WorkerProcess, plan: Plan) -> None:
        self.case = case
        self._worker = worker
        loaded = worker.ask(
            "load",
            path=str(case.path),
            runtime=case.runtime,
            threads=case.threads,
            batch=case.batch,
            input_shape=case.input_shape,
        )
        self.load_ms: float = loaded["load_ms"]
        self.input_shape: tuple[int, ...] = tuple(loaded["input_shape"])
        warm = worker.ask("warm_up", max_s=min(WARM_UP_S, plan.max_s_per_case))
        self.call_ms: float = warm["call_ms"]
        """Of a warm call, roughly."""
        self._num_calls = min(MAX_CALLS, max(1, round(plan.block_ms / self.call_ms)))

    def join(self, series: Series) -> None:
        """Begin this launch's part of ``series``."""
        series.launch_sizes.append(0)
        series.checksums.append([])
        series.load_ms.append(self.load_ms)
        series.input_shape = self.input_shape
        series.spent_s = 0.0

    def take_block(self, series: Series) -> None:
        """Time one block and add it to ``series``."""
        started = time.perf_counter()
        block = self._worker.ask("block", num_calls=self._num_calls)
        series.samples_ms.append(tuple(block["samples_ms"]))
        series.reference_ms.append(block["reference_ms"])
        series.checksums[-1].append(block["checksum"])
        series.launch_sizes[-1] += 1
        series.occupancies.append(block["occupancy"])
        series.spent_s += time.perf_counter() - started

    def operator_times(self, max_s: float) -> tuple[OpTime, ...]:
        """Return what the operators take in a profile of about ``max_s`` seconds; empty where the runtime has no profiler."""
        num_calls = min(MAX_CALLS, max(MIN_PROFILED, round(max_s * 1e3 / self.call_ms)))
        return tuple(OpTime(**each) for each in self._worker.ask("operator_times", num_calls=num_calls)["ops"])

    def leave(self, series: Series) -> None:
        """Add the largest resident size of the worker, and where its operators run; the worker ends then, beside the others."""
        footprint = self._worker.ask("footprint")
        series.peak_rss_bytes = max(series.peak_rss_bytes, footprint["peak_rss_bytes"])
        series.placement = footprint["placement"]
        self._worker.let_go()
