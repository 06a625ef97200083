"""How latencies are measured: fresh pinned processes, several for each case, warm-up, blocks taken in turns, a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from edgewise.bench import reference, statistics, worker_process
from edgewise.bench.limits import check_threads
from edgewise.bench.schedule import alternated, turns
from edgewise.bench.state import find_step
from edgewise.bench.verdict import MIN_BLOCKS, NOISY_HALF_WIDTH, Contention, Judgement, judge
from edgewise.bench.worker_process import WorkerProcess
from edgewise.deploy.runtimes.formats import check_format, format_of, model_bytes
from edgewise.deploy.runtimes.registry import get_runtime, runtime_for
from edgewise.errors import ConfigError
from edgewise.records.bench import LAUNCHES
from edgewise.records.environment import Environment, capture_environment
from edgewise.records.measurement import MachineSpeed, Measurement
from edgewise.records.op_time import OpTime

MAX_ALIVE = 8
"""Workers that live, and take turns, at the same time; each holds its model in memory."""
MAX_CALLS = 1000
"""Calls in one block at most; all samples are kept, and thousands of calls of a tiny file say no more."""
CAREFUL = 3
"""Launches from which on a caller wants small differences told apart: more are added where that many do not suffice."""
MIN_PROFILED = 6
"""Calls of a profile at least."""
WARM_UP_S = 2.0
TIMEOUT_S = 120.0

Progress = Callable[[int, int], None]
"""Called with the blocks done and the blocks expected in all; the latter grows when a set is measured again."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file to be measured in one runtime.

    Attributes:
        name: what to call it in the record.
        path: the file.
        runtime: as in `registry.RUNTIMES`.
        format: as in ``onnx``.
        precision: as in ``fp32``.
        threads: for one call; also the number of cores that the process is pinned to.
        batch: images in one call.
        input_shape: (N, C, H, W), of which N is replaced by `batch`; None takes the file's own.
    """

    name: str
    path: Path
    runtime: str
    format: str
    precision: str
    threads: int = 1
    batch: int = 1
    input_shape: tuple[int, ...] | None = None

    def check(self) -> None:
        """Refuse what cannot be measured, before any process is started.

        Raises:
            ConfigError: a number is out of range.
            InputError: the runtime is unknown, or the file is missing or not one of the runtime's.
        """
        check_threads(self.threads)
        if self.batch < 1:
            raise ConfigError(f"batch is {self.batch}; accepted: 1 or more")
        if self.input_shape is not None and min(self.input_shape, default=0) < 1:
            raise ConfigError(f"input_shape is {self.input_shape}; accepted: sizes of 1 or more")
        check_format(self.path, get_runtime(self.runtime))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure.

    Attributes:
        launches: fresh processes of each case at most, one after the other.
        min_blocks: blocks of each case, shared out among its launches.
        block_ms: about how long one block lasts; it holds one call at least.
        max_s_per_case: time after which a case gets no further block, shared out likewise; starting its processes may take as
            long again.
        timeout_s: longest time that a worker may take for one answer.
    """

    launches: int = 1
    min_blocks: int = MIN_BLOCKS
    block_ms: float = 20.0
    max_s_per_case: float = 20.0
    timeout_s: float = TIMEOUT_S

    def launches_for(self, start_s: float, num_cases: int) -> int:
        """Return how often ``num_cases`` are launched when starting them once takes ``start_s``: all starts fit into the time given."""
        affordable = int(num_cases * self.max_s_per_case / start_s)
        return max(1, min(self.launches, self.min_blocks, affordable))


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
        self._call_ms: float = warm["call_ms"]
        self._num_calls = min(MAX_CALLS, max(1, round(plan.block_ms / self._call_ms)))

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
        num_calls = min(MAX_CALLS, max(MIN_PROFILED, round(max_s * 1e3 / self._call_ms)))
        return tuple(OpTime(**each) for each in self._worker.ask("operator_times", num_calls=num_calls)["ops"])

    def leave(self, series: Series) -> None:
        """Add the largest resident size of the worker so far, and where its operators run."""
        footprint = self._worker.ask("footprint")
        series.peak_rss_bytes = max(series.peak_rss_bytes, footprint["peak_rss_bytes"])
        series.placement = footprint["placement"]


class BlockCounter:
    """Tells the caller's progress function how many blocks are done."""

    def __init__(self, report: Progress | None, expected: int) -> None:
        self._report = report
        self._expected = expected
        self._done = 0

    def expect(self, num_blocks: int) -> None:
        """Raise the number of blocks expected."""
        self._expected += num_blocks

    def add(self, num_blocks: int = 1) -> None:
        """Count blocks as done."""
        self._done += num_blocks
        if self._report is not None:
            self._report(self._done, self._expected)


def measure_cases(
    cases: Sequence[Case],
    *,
    launches: int = LAUNCHES,
    min_blocks: int = MIN_BLOCKS,
    block_ms: float = 20.0,
    max_s_per_case: float = 20.0,
    timeout_s: float = TIMEOUT_S,
    progress: Progress | None = None,
) -> list[Measurement]:
    """Measure ``cases``, up to eight of them in turns, each in fresh pinned processes; only one is busy at any time.

    Where a process's memory comes to lie decides about a percent of its speed for as long as it lives, and the one that is started
    first tends to be the slowest. So each case is launched several times, each time in the opposite order, and gets a share of its
    blocks in each (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013).

    A set of three launches and more in which a median is not known to 2 % gets as many again. One in which a case is rejected
    for what may be a passing disturbance is measured once more, and every record of the second try says so.

    Args:
        cases: what to measure; the records come back in this order.
        launches: processes for each case, one after the other; with fewer than three, small differences are not told apart.
        min_blocks: blocks of each case.
        block_ms: about how long one block lasts; the calls in a block are chosen so, one at least.
        max_s_per_case: time after which a case gets no further block; its verdict is then noisy at best.
        timeout_s: longest time that a process may take for one answer, loading included.
        progress: called with blocks done and blocks expected.

    Raises:
        InputError: a case cannot be measured as given; nothing was started, or all is stopped again.
        BenchError: a process died or hung; all others are stopped.
    """
    if launches < 1:
        raise ConfigError(f"launches is {launches}; accepted: 1 or more")
    for case in cases:
        case.check()
    plan = Plan(
        launches=launches,
        min_blocks=min_blocks,
        block_ms=block_ms,
        max_s_per_case=max_s_per_case,
        timeout_s=timeout_s,
    )
    counter = BlockCounter(progress, len(cases) * plan.min_blocks)
    measurements: list[Measurement] = []
    for start in range(0, len(cases), MAX_ALIVE):
        measurements += _measure_set(cases[start : start + MAX_ALIVE], plan, counter)
    return measurements


def measure_file(
    path: Path,
    *,
    runtime: str | None = None,
    threads: int = 1,
    batch: int = 1,
    input_shape: tuple[int, ...] | None = None,
    name: str | None = None,
    precision: str = "fp32",
    progress: Progress | None = None,
) -> Measurement:
    """Measure one file; the runtime is chosen by the file's content when None is given.

    Raises:
        InputError: as `measure_cases`.
        BenchError: as `measure_cases`.
    """
    chosen = runtime if runtime is not None else runtime_for(path).name
    case = Case(
        name=name or path.name,
        path=path,
        runtime=chosen,
        format=format_of(path),
        precision=precision,
        threads=threads,
        batch=batch,
        input_shape=input_shape,
    )
    return measure_cases([case], progress=progress)[0]


def quick_latency_ms(
    path: Path, runtime: str, threads: int = 1, *, batch: int = 1, input_shape: tuple[int, ...] | None = None
) -> float:
    """Return a first idea of the latency of ``path`` in ms, for choosing among candidates.

    Seven short blocks and no verdict: the median of the fastest block, as a disturbance only ever adds time.

    Raises:
        InputError: as `measure_cases`.
        BenchError: as `measure_cases`.
    """
    case = Case(
        name=path.name,
        path=path,
        runtime=runtime,
        format=format_of(path),
        precision="",
        threads=threads,
        batch=batch,
        input_shape=input_shape,
    )
    case.check()
    plan = Plan(min_blocks=7, block_ms=10.0, max_s_per_case=1.0)
    (series,) = _take_all([case], plan, BlockCounter(None, 0))
    return float(statistics.block_medians(series.samples_ms).min())


def _measure_set(cases: Sequence[Case], plan: Plan, counter: BlockCounter) -> list[Measurement]:
    environment = capture_environment()
    taken = _take_all(cases, plan, counter)
    judgements = _judge_all(cases, taken, plan)
    note = _why_again(cases, judgements)
    if note:
        counter.expect(len(cases) * plan.min_blocks)
        taken = _take_all(cases, plan, counter)
        judgements = _judge_all(cases, taken, plan)
    return [
        _record(case, series, judgement, note, environment)
        for case, series, judgement in zip(cases, taken, judgements, strict=True)
    ]


def _take_all(cases: Sequence[Case], plan: Plan, counter: BlockCounter) -> list[Series]:
    """Launch all ``cases`` several times, in the opposite order each time, and take their blocks.

    Where a median is not known well enough then, all are launched as many times again.
    """
    taken = [Series() for _ in cases]
    launch, launches, last = 0, plan.launches, plan.launches
    while launch < last:
        with ExitStack() as stack:
            benches, started = [], time.perf_counter()
            order = alternated(list(zip(cases, taken, strict=True)), launch)
            for worker, (case, series) in zip(_started([case for case, _ in order], plan, stack), order, strict=True):
                bench = Bench(case, worker, plan)
                bench.join(series)
                benches.append((bench, series))
            if launch == 0:
                launches = last = plan.launches_for(time.perf_counter() - started, len(cases))
                counter.expect(len(cases) * (launches * math.ceil(plan.min_blocks / launches) - plan.min_blocks))
            _take_turns(benches, math.ceil(plan.min_blocks / launches), plan.max_s_per_case / launches, counter)
            for bench, series in benches:
                bench.leave(series)
        launch += 1
        if launch == launches == plan.launches >= CAREFUL and _needs_more(cases, taken):
            last = 2 * launches
            counter.expect(len(cases) * launches * math.ceil(plan.min_blocks / launches))
    return taken


def _needs_more(cases: Sequence[Case], taken: Sequence[Series]) -> bool:
    """Say whether a median is not known as well as a trusted one has to be, for no fault of other processes or of the machine's speed."""
    if any(series.contention(case.threads).disturbance() for case, series in zip(cases, taken, strict=True)):
        return False
    if any(find_step(series.reference_ms) is not None for series in taken):
        return False
    widths = (statistics.half_width(series.samples_ms, launch_sizes=series.launch_sizes) for series in taken)
    return any(width > NOISY_HALF_WIDTH for width in widths)


def _take_turns(
    benches: Sequence[tuple[Bench, Series]], num_rounds: int, max_s_per_case: float, counter: BlockCounter
) -> None:
    """Take the blocks of one launch in turns: A B C, C B A, A B C and so on."""
    for round_index in range(num_rounds):
        for bench, series in turns(benches, round_index):
            if round_index == 0 or series.spent_s < max_s_per_case:
                bench.take_block(series)
            counter.add()


def _started(cases: Sequence[Case], plan: Plan, stack: ExitStack) -> list[WorkerProcess]:
    """Start a worker for each case, two at a time, and wait until each has imported its runtime."""
    workers: list[WorkerProcess] = []
    for at in range(0, len(cases), 2):
        two = []
        for case in cases[at : at + 2]:
            worker = stack.enter_context(WorkerProcess(case.path, case.threads, plan.timeout_s, worker_process.COMMAND))
            worker.order("get_ready", runtime=case.runtime)
            two.append(worker)
        for worker in two:
            worker.answer("get_ready")
        workers += two
    return workers


def _judge_all(cases: Sequence[Case], taken: Sequence[Series], plan: Plan) -> list[Judgement]:
    return [
        judge(
            series.samples_ms,
            reference_ms=series.reference_ms,
            contention=series.contention(case.threads),
            checksums=series.checksums,
            min_blocks=plan.min_blocks,
            launch_sizes=series.launch_sizes,
        )
        for case, series in zip(cases, taken, strict=True)
    ]


def _why_again(cases: Sequence[Case], judgements: Sequence[Judgement]) -> str:
    for case, judgement in zip(cases, judgements, strict=True):
        if judgement.passing:
            return f"second try; in the first, {case.name} was rejected ({judgement.reason})"
    return ""


def _record(case: Case, series: Series, judgement: Judgement, note: str, environment: Environment) -> Measurement:
    samples = series.samples_ms
    latency_ms = statistics.pooled_median(samples)
    low, high = statistics.median_interval(samples, launch_sizes=series.launch_sizes)
    step = find_step(series.reference_ms)
    return Measurement(
        name=case.name,
        runtime=case.runtime,
        format=case.format,
        precision=case.precision,
        threads=case.threads,
        batch=case.batch,
        input_shape=series.input_shape,
        latency_ms=latency_ms,
        ci_low_ms=low,
        ci_high_ms=high,
        p90_ms=statistics.p90(samples),
        min_ms=min(min(block) for block in samples),
        images_per_s=case.batch * 1e3 / latency_ms,
        batches_per_s=statistics.calls_per_s(samples),
        load_ms=median(series.load_ms),
        peak_rss_bytes=series.peak_rss_bytes,
        file_bytes=model_bytes(case.path),
        placement=series.placement,
        verdict=judgement.verdict,
        reason="; ".join(text for text in (judgement.reason, note) if text),
        block_medians_ms=tuple(statistics.block_medians(samples).tolist()),
        samples_ms=tuple(samples),
        launch_sizes=tuple(series.launch_sizes),
        speed=MachineSpeed(
            kernel=reference.NAME, times_ms=tuple(series.reference_ms), change=step.text if step is not None else ""
        ),
        environment=environment,
    )
