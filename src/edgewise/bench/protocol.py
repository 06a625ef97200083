"""How latencies are measured: fresh pinned processes, several for each case, warm-up, blocks taken in turns, a verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from edgewise.bench import reference, statistics, worker_process
from edgewise.bench.case import TIMEOUT_S, Case, Plan
from edgewise.bench.launch import Bench, Series
from edgewise.bench.schedule import alternated, turns
from edgewise.bench.state import find_step
from edgewise.bench.verdict import MIN_BLOCKS, NOISY_HALF_WIDTH, Judgement, judge
from edgewise.bench.worker_process import WorkerProcess
from edgewise.deploy.runtimes.formats import format_of, model_bytes
from edgewise.deploy.runtimes.registry import runtime_for
from edgewise.errors import ConfigError
from edgewise.records.bench import LAUNCHES
from edgewise.records.environment import Environment, capture_environment
from edgewise.records.measurement import MachineSpeed, Measurement

MAX_ALIVE = 8
"""Workers that live, and take turns, at the same time; each holds its model in memory."""
CAREFUL = 3
"""Launches from which on a caller wants small differences told apart: more are added where that many do not suffice."""

STARTING = 2
"""Workers that import their runtimes at the same time."""
SURELY = 1.25
"""A case is too slow when its first warm calls take this many times what is allowed: they may have been disturbed."""

Progress = Callable[[int, int], None]
"""Called with the blocks done and the blocks expected in all; the latter grows when a set is measured again."""


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
    plan = Plan(
        launches=launches,
        min_blocks=min_blocks,
        block_ms=block_ms,
        max_s_per_case=max_s_per_case,
        timeout_s=timeout_s,
    )
    return [each for each in _measured(cases, plan, progress) if not isinstance(each, TooSlow)]


@dataclass(frozen=True)
class TooSlow:
    """A case that was not measured, as a call takes longer than allowed."""

    latency_ms: float
    """Of a few warm calls, or what was measured."""


def measure_within(
    cases: Sequence[Case], max_ms: float, *, launches: int = LAUNCHES, progress: Progress | None = None
) -> list[Measurement | TooSlow]:
    """Do as `measure_cases` does, without those of ``cases`` that take longer than ``max_ms``; most of these show when they are warm.

    Raises:
        InputError: as `measure_cases`.
        BenchError: as `measure_cases`.
    """
    found = _measured(cases, Plan(launches=launches, max_call_ms=SURELY * max_ms), progress)
    return [TooSlow(each.latency_ms) if each.latency_ms > max_ms else each for each in found]


def _measured(cases: Sequence[Case], plan: Plan, progress: Progress | None) -> list[Measurement | TooSlow]:
    if plan.launches < 1:
        raise ConfigError(f"launches is {plan.launches}; accepted: 1 or more")
    for case in cases:
        case.check()
    counter = BlockCounter(progress, len(cases) * plan.min_blocks)
    found: list[Measurement | TooSlow] = []
    for start in range(0, len(cases), MAX_ALIVE):
        found += _measure_set(cases[start : start + MAX_ALIVE], plan, counter)
    return found


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


def _measure_set(cases: Sequence[Case], plan: Plan, counter: BlockCounter) -> list[Measurement | TooSlow]:
    environment = capture_environment()
    taken = _take_all(cases, plan, counter)
    quick = [case for case, series in zip(cases, taken, strict=True) if series.slow_ms is None]
    series_of = [series for series in taken if series.slow_ms is None]
    judgements = _judge_all(quick, series_of, plan)
    note = _why_again(quick, judgements)
    if note:
        counter.expect(len(quick) * plan.min_blocks)
        series_of = _take_all(quick, replace(plan, max_call_ms=math.inf), counter)
        judgements = _judge_all(quick, series_of, plan)
    records = iter(
        _record(case, series, judgement, note, environment)
        for case, series, judgement in zip(quick, series_of, judgements, strict=True)
    )
    return [next(records) if series.slow_ms is None else TooSlow(series.slow_ms) for series in taken]


def _take_all(cases: Sequence[Case], plan: Plan, counter: BlockCounter) -> list[Series]:
    """Launch all ``cases`` several times, in the opposite order each time, and take their blocks.

    Where a median is not known well enough then, all are launched as many times again. Those that are too slow when they are warm
    get no blocks.
    """
    taken = [Series() for _ in cases]
    left = list(zip(cases, taken, strict=True))
    launch, launches, last = 0, plan.launches, plan.launches
    while launch < last and left:
        with ExitStack() as stack:
            benches, started = [], time.perf_counter()
            order = alternated(left, launch)
            for worker, (case, series) in zip(_started([case for case, _ in order], plan, stack), order, strict=True):
                bench = Bench(case, worker, plan)
                if launch == 0 and bench.call_ms > plan.max_call_ms:
                    series.slow_ms = bench.call_ms
                    worker.close()
                    continue
                bench.join(series)
                benches.append((bench, series))
            left = [(case, series) for case, series in left if series.slow_ms is None]
            if launch == 0 and left:
                launches = last = plan.launches_for(time.perf_counter() - started, len(left))
                counter.expect(
                    len(left) * launches * math.ceil(plan.min_blocks / launches) - len(cases) * plan.min_blocks
                )
            _take_turns(benches, math.ceil(plan.min_blocks / launches), plan.max_s_per_case / launches, counter)
            for bench, series in benches:
                bench.leave(series)
        launch += 1
        if launch == launches == plan.launches >= CAREFUL and _needs_more(left):
            last = 2 * launches
            counter.expect(len(left) * launches * math.ceil(plan.min_blocks / launches))
    return taken


def _needs_more(measured: Sequence[tuple[Case, Series]]) -> bool:
    """Say whether a median is not known as well as a trusted one has to be, for no fault of other processes or of the machine's speed."""
    if any(series.contention(case.threads).disturbance() for case, series in measured):
        return False
    if any(find_step(series.reference_ms) is not None for _, series in measured):
        return False
    widths = (statistics.half_width(series.samples_ms, launch_sizes=series.launch_sizes) for _, series in measured)
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
    """Start a worker for each case, at most two of them importing their runtime at any time, and wait until all have."""

    def started(case: Case) -> WorkerProcess:
        worker = stack.enter_context(WorkerProcess(case.path, case.threads, plan.timeout_s, worker_process.COMMAND))
        worker.ask("get_ready", runtime=case.runtime)
        return worker

    pool = ThreadPoolExecutor(STARTING)
    try:
        return list(pool.map(started, cases))
    finally:
        pool.shutdown(cancel_futures=True)


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
