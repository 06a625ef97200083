"""Measuring what this machine can do at most: MAC/s by precision and bytes/s by memory level, for one thread and for all."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import psutil

from edgewise.bench import reference
from edgewise.bench.gemm_kernels import LIBRARIES
from edgewise.bench.launch import Series
from edgewise.bench.memory_kernels import WALKS, buffer_sizes
from edgewise.bench.protocol import Progress
from edgewise.bench.state import find_step
from edgewise.bench.statistics import median_interval
from edgewise.bench.worker_process import COMMAND, WorkerProcess
from edgewise.errors import BenchError, InputError
from edgewise.records.device import LEVELS, Bandwidth, Cache, ComputePeak, DeviceProfile, Level, Precision
from edgewise.records.environment import capture_environment, usable_cores
from edgewise.records.measurement import MachineSpeed

DEVICE_COMMAND: Final = (*COMMAND[:-1], "edgewise.bench.device_worker")
FIRST_BLOCKS: Final = 8
"""Of each kernel, to find the fastest of a library."""
BLOCKS: Final = 40
"""Of the fastest, which give the figure."""
MAX_TRIES: Final = 4
"""Rounds of as many blocks, until enough of them were undisturbed."""
MAX_LOST: Final = 0.03
"""Share of its cores' time that an undisturbed block may lose to others. A peak is what the machine can do: what others take is no
part of it."""
MIN_UNDISTURBED: Final = 10

ACCESSES: Final[tuple[Literal["read", "copy"], ...]] = ("read", "copy")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """One kernel's blocks.

    Attributes:
        kernel: its name.
        units: MACs, or bytes, of one call.
        call_s: seconds of one call, one a block.
        reference_ms: of the reference kernel beside each block.
        lost: share of its cores' time that each block lost to others.
        occupancies: of each block.
    """

    kernel: str
    units: int
    call_s: Sequence[float]
    reference_ms: Sequence[float]
    lost: Sequence[float]
    occupancies: list[dict[str, float]]

    @property
    def rate(self) -> float:
        """Return units a second: the median over the blocks."""
        return self.units / statistics.median(self.call_s)

    @property
    def best_rate(self) -> float:
        """Return units a second in the fastest block."""
        return self.units / min(self.call_s)

    def undisturbed(self) -> _Timed | None:
        """Return the blocks in which the process had its cores to itself; None where they are too few."""
        quiet = [number for number, lost in enumerate(self.lost) if lost <= MAX_LOST]
        return self._only(quiet) if len(quiet) >= MIN_UNDISTURBED else None

    def least_disturbed(self) -> _Timed:
        """Return the ten blocks that lost least to others."""
        return self._only(sorted(range(len(self.lost)), key=lambda number: self.lost[number])[:MIN_UNDISTURBED])

    def _only(self, numbers: Sequence[int]) -> _Timed:
        return replace(
            self,
            call_s=[self.call_s[number] for number in numbers],
            reference_ms=[self.reference_ms[number] for number in numbers],
            lost=[self.lost[number] for number in numbers],
            occupancies=[self.occupancies[number] for number in numbers],
        )

    def __add__(self, more: _Timed) -> _Timed:
        return replace(
            self,
            call_s=[*self.call_s, *more.call_s],
            reference_ms=[*self.reference_ms, *more.reference_ms],
            lost=[*self.lost, *more.lost],
            occupancies=[*self.occupancies, *more.occupancies],
        )

    def interval(self) -> tuple[float, float]:
        """Return the 95 % bootstrap interval of the rate."""
        low, high = median_interval([[each] for each in self.call_s])
        return self.units / high, self.units / low


class _Measuring:
    """One measurement of this machine, figure by figure."""

    def __init__(self, progress: Progress | None, say: Say) -> None:
        self._progress, self._say = progress, say
        self._threads = sorted({1, usable_cores()})
        self._done = 0
        self._total = len(self._threads) * (len(LIBRARIES) + len(LEVELS))
        self._taken: list[tuple[int, _Timed]] = []

    def profile(self) -> DeviceProfile:
        """Measure everything."""
        environment = capture_environment()
        with _worker(1) as (_, caches):
            pass
        peaks = [peak for threads in self._threads for peak in self._peaks(threads)]
        memory = [row for threads in self._threads for row in self._memory(threads, caches)]
        times_ms = tuple(statistics.median(timed.reference_ms) for _, timed in self._taken)
        step = find_step(times_ms)
        remarks = tuple(self._remarks(step.text if step is not None else ""))
        return DeviceProfile(
            name=f"{re.sub(r'[^A-Za-z0-9]+', '-', environment.cpu).strip('-')[:80] or 'cpu'}-{environment.num_cores}",
            title=f"{environment.cpu}, {environment.num_cores} core{'s' if environment.num_cores > 1 else ''}",
            kind="cpu",
            peaks=tuple(peaks),
            memory=tuple(memory),
            caches=caches,
            source="edgewise device measure",
            confidence="low" if remarks else "high",
            environment=environment,
            speed=MachineSpeed(kernel=reference.NAME, times_ms=times_ms, change=step.text if step is not None else ""),
            remarks=remarks,
        )

    def _peaks(self, threads: int) -> list[ComputePeak]:
        best: dict[Precision, _Timed] = {}
        for library in LIBRARIES:
            for precision, timed in self._of_library(library, threads):
                if precision not in best or timed.rate > best[precision].rate:
                    best[precision] = timed
            self._step()
        found = []
        for precision, timed in best.items():
            low, high = timed.interval()
            found.append(
                ComputePeak(
                    precision=precision,
                    threads=threads,
                    macs_per_s=timed.rate,
                    low=low,
                    high=high,
                    kernel=timed.kernel,
                    reference_ms=self._keep(threads, timed),
                )
            )
        return found

    def _of_library(self, library: str, threads: int) -> list[tuple[Precision, _Timed]]:
        """Return the fastest kernel of ``library`` in each precision; what it lacks, or a crash, leaves the others."""
        found: list[tuple[Precision, _Timed]] = []
        try:
            with _worker(threads) as (worker, _):
                for precision in get_args(Precision):
                    names = worker.ask("names", library=library, precision=precision)["kernels"]
                    orders = [{"library": library, "precision": precision, "kernel": name} for name in names]
                    fastest = _fastest(worker, "peak", orders)
                    found += [(precision, fastest)] if fastest is not None else []
        except InputError as error:
            self._say(f"{library} is left out: {error}")
        except BenchError as error:
            self._say(f"the rest of {library} is left out: {error}")
        return found

    def _memory(self, threads: int, caches: Sequence[Cache]) -> list[Bandwidth]:
        rows: list[Bandwidth] = []
        try:
            with _worker(threads) as (worker, _):
                for level in LEVELS:
                    sizes = buffer_sizes(level, caches, threads, psutil.virtual_memory().available)
                    rows += [
                        row for access in ACCESSES if (row := self._bandwidth(worker, level, access, threads, sizes))
                    ]
                    self._step()
        except BenchError as error:
            self._say(f"the rest of the memory is left out: {error}")
        return rows

    def _bandwidth(
        self, worker: WorkerProcess, level: Level, access: Literal["read", "copy"], threads: int, sizes: Sequence[int]
    ) -> Bandwidth | None:
        walks = [walk.name for walk in WALKS.values() if walk.access == access]
        fastest = _fastest(worker, "walk", [{"walk": walk, "buffer_bytes": size} for walk in walks for size in sizes])
        if fastest is None:
            return None
        low, high = fastest.interval()
        name, _, size = fastest.kernel.rpartition(" ")
        return Bandwidth(
            level=level,
            access=access,
            threads=threads,
            bytes_per_s=fastest.rate,
            low=low,
            high=high,
            kernel=name,
            buffer_bytes=int(size),
            reference_ms=self._keep(threads, fastest),
        )

    def _keep(self, threads: int, timed: _Timed) -> float:
        """Remember a figure's blocks, for the remarks, and return the reference kernel's median time beside them."""
        self._taken.append((threads, timed))
        return statistics.median(timed.reference_ms)

    def _remarks(self, change: str) -> Iterator[str]:
        if change:
            yield f"the machine became {change.replace('block', 'figure')}"
        for threads in self._threads:
            beside = [each.occupancies for count, each in self._taken if count == threads]
            contention = Series(occupancies=[one for each in beside for one in each]).contention(threads)
            if text := contention.disturbance() or contention.noise():
                yield f"{threads} thread{'s' if threads > 1 else ''}: {text}"

    def _step(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def measure_device(*, progress: Progress | None = None, say: Say = lambda _: None) -> DeviceProfile:
    """Measure this machine's peaks and bandwidths, in about a minute.

    Every figure is taken in a fresh process pinned to as many cores as it has threads, one and all. Of each library the fastest
    kernel is found in a few blocks and then timed in 40; the peak is that of the fastest library. What nothing computes here, as
    bf16 on a processor without it, stays absent.

    Args:
        progress: called with steps done and steps in all.
        say: called with a sentence where something is left out.

    Raises:
        BenchError: not even a process for numpy could be started.
    """
    return _Measuring(progress, say).profile()


@contextmanager
def _worker(threads: int) -> Iterator[tuple[WorkerProcess, tuple[Cache, ...]]]:
    """Start a worker on ``threads`` cores; gives it with the processor's caches."""
    with WorkerProcess(Path("this machine"), threads, 120.0, DEVICE_COMMAND) as worker:
        told = worker.ask("start", threads=threads)
        yield worker, tuple(Cache(**each) for each in told["caches"])


def _fastest(worker: WorkerProcess, do: str, orders: Sequence[dict[str, Any]]) -> _Timed | None:
    """Try all ``orders`` shortly and return the fastest one, timed in full; None where none can be timed.

    What counts is what was undisturbed; where that is too little after four rounds, the ten blocks that were least disturbed.
    """
    first = [(order, timed) for order in orders if (timed := _timed(worker, do, order, FIRST_BLOCKS)) is not None]
    if not first:
        return None
    # of the short try the fastest block: a disturbance only ever adds time
    order = max(first, key=lambda pair: pair[1].best_rate)[0]
    taken: _Timed | None = None
    for _ in range(MAX_TRIES):
        more = _timed(worker, do, order, BLOCKS)
        assert more is not None
        taken = more if taken is None else taken + more
        if (quiet := taken.undisturbed()) is not None:
            return quiet
    assert taken is not None
    return taken.least_disturbed()


def _timed(worker: WorkerProcess, do: str, order: dict[str, Any], num_blocks: int) -> _Timed | None:
    answer = worker.ask(do, **order, num_blocks=num_blocks)
    if "skipped" in answer:
        return None
    kernel = order["kernel"] if do == "peak" else f"{order['walk']} {order['buffer_bytes']}"
    return _Timed(kernel=kernel, **answer)
