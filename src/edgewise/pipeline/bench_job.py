"""`bench`: latencies of models, runs and files in several runtimes, precisions and thread counts, side by side."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgewise.bench.protocol import MAX_ALIVE, TooSlow, measure_cases, measure_within
from edgewise.errors import BenchError, ConfigError, ExportError, InputError, Interrupted, shown
from edgewise.pipeline.bench_files import Files, LeftOutError, Made
from edgewise.pipeline.bench_folder import BenchFolder
from edgewise.pipeline.bench_limit import Counts, Limits
from edgewise.pipeline.bench_plan import Slot, plan
from edgewise.pipeline.bench_ways import check_request
from edgewise.pipeline.listener import JobListener
from edgewise.records.bench import BenchCase, BenchRequest
from edgewise.records.measurement import Measurement
from edgewise.report.formatting import format_ms
from edgewise.train.signals import EXIT_CODES

HOPELESS = 3.0
"""A model is not tried in a runtime where a smaller one already takes this many times `max_ms`."""


def measure_together(request: BenchRequest, *, listener: JobListener, num_cases: int) -> list[Measurement]:
    """Measure a few cases in turns and keep nothing.

    Raises:
        ConfigError: there are not ``num_cases``, or more than can take turns.
        InputError: a name or path cannot be used.
        ExportError: a file cannot be made.
        BenchError: a measurement failed.
    """
    check_request(request)
    slots = plan(request)
    if len(slots) != num_cases:
        listed = ", ".join(f"{slot.what} ({slot.runtime}, {slot.threads})" for slot in slots)
        raise ConfigError(f"{num_cases} cases are needed, these are {len(slots)}: {listed}")
    with Files(request, listener) as files, tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        files.export(slots, Path(temporary))
        try:
            made = [files.made(slot, Path(temporary)) for slot in slots]
        except LeftOutError as error:
            raise ExportError(str(error)) from error
        listener.on_stage(f"Timing {len(made)} cases in turns")
        return measure_cases([each.case for each in made], launches=request.launches, progress=listener.on_progress)


def bench_all(request: BenchRequest, folder: BenchFolder, *, listener: JobListener) -> list[BenchCase]:
    """Measure all cases of ``request`` that ``folder`` does not hold yet, up to eight in turns, and keep each set when it is done.

    A file that cannot be made, and a case whose process dies, is told of and left out.

    Raises:
        InputError: a name or path cannot be used.
        ExportError: no file could be made.
        BenchError: no case could be measured.
        Interrupted: Ctrl-C; what is finished is kept.
    """
    check_request(request)
    slots = plan(request)
    bench = _Bench(request, folder, listener, slots)
    try:
        return bench.run()
    except KeyboardInterrupt:
        how = f"; go on with: edgewise bench --resume {shown(folder.path)}" if bench.num_done else ""
        raise Interrupted(
            f"stopped by SIGINT, {bench.num_done} of {len(slots)} cases are kept{how}", EXIT_CODES[signal.SIGINT]
        ) from None


class _Bench:
    def __init__(
        self, request: BenchRequest, folder: BenchFolder, listener: JobListener, slots: Sequence[Slot]
    ) -> None:
        self._request, self._folder, self._listener, self._slots = request, folder, listener, slots
        self._limits = Limits()
        self._files = Files(request, listener, Counts() if self._limits.device is not None else None)
        self._done = {slot.number: case for slot in slots if (case := folder.done(slot.number)) is not None}
        self._too_slow: dict[tuple[str, str, int], str] = {}

    @property
    def num_done(self) -> int:
        """Return how many cases are kept."""
        return len(self._done)

    def run(self) -> list[BenchCase]:
        """Measure what is left and return all cases in the plan's order."""
        if self._done:
            self._listener.on_message(f"{self.num_done} of {len(self._slots)} cases are done already")
        with self._files:
            for group in self._sets():
                self._listener.on_overall(self.num_done, len(self._slots))
                with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
                    self._measure_set(group, Path(temporary))
        self._listener.on_overall(self.num_done, len(self._slots))
        cases = [self._done[slot.number] for slot in self._slots]
        self._require_any(cases)
        return cases

    def _sets(self) -> Iterator[list[Slot]]:
        """Yield what takes turns together: up to eight cases, those of one model in one set where they fit."""
        left = [slot for slot in self._slots if slot.number not in self._done]
        group: list[Slot] = []
        for owner in dict.fromkeys(slot.owner for slot in left):
            own = [slot for slot in left if slot.owner == owner]
            if group and len(group) + len(own) > MAX_ALIVE:
                yield group
                group = []
            group += own
            while len(group) > MAX_ALIVE:
                yield group[:MAX_ALIVE]
                group = group[MAX_ALIVE:]
        if group:
            yield group

    def _measure_set(self, slots: Sequence[Slot], folder: Path) -> None:
        made: list[Made] = []
        for owner in dict.fromkeys(slot.owner for slot in slots):
            hopeful = [slot for slot in slots if slot.owner == owner and not self._is_hopeless(slot)]
            self._files.export(hopeful, folder)
            made += [each for slot in hopeful if (each := self._made(slot, folder)) is not None]
        if not made:
            return
        self._listener.on_stage(f"Timing {len(made)} case{'s in turns' if len(made) > 1 else ''}")
        try:
            measured = self._measured(made)
        except (BenchError, InputError) as error:
            self._raise_if_given(error, made)
            self._measure_apart(made, error)
            return
        for each, found in zip(made, measured, strict=True):
            self._take(each, found)

    def _measured(self, made: Sequence[Made]) -> Sequence[Measurement | TooSlow]:
        cases, launches, progress = [each.case for each in made], self._request.launches, self._listener.on_progress
        if self._request.max_ms is None:
            return measure_cases(cases, launches=launches, progress=progress)
        return measure_within(cases, self._request.max_ms, launches=launches, progress=progress)

    def _take(self, made: Made, found: Measurement | TooSlow) -> None:
        """Keep what came out, or leave out what takes too long; nothing larger is tried then where that is hopeless."""
        max_ms = self._request.max_ms
        if not isinstance(found, TooSlow):
            self._keep(made.slot, made, measurement=found)
            return
        assert max_ms is not None
        taken = format_ms(found.latency_ms)
        if found.latency_ms > HOPELESS * max_ms and not made.slot.is_file:
            where = made.slot.runtime, made.slot.precision, made.slot.threads
            self._too_slow[where] = f"not tried: {made.slot.what}, which is smaller, takes {taken}"
        self._leave_out(made.slot, f"takes about {taken}, over {format_ms(max_ms)}", made)

    def _raise_if_given(self, error: BenchError | InputError, made: Sequence[Made]) -> None:
        """Raise an error that is a given file's fault; one of a file that was made here is left out with its reason."""
        if isinstance(error, InputError) and any(each.slot.is_file for each in made):
            raise error

    def _measure_apart(self, made: Sequence[Made], error: BenchError | InputError) -> None:
        """Measure one by one where a process of the set died, or a runtime refused a file: the others are not lost with it."""
        if len(made) == 1:
            self._leave_out(made[0].slot, str(error), made[0])
            return
        self._listener.on_message(f"{error}; the set is measured one by one")
        for each in made:
            try:
                (found,) = self._measured([each])
            except (BenchError, InputError) as own:
                self._raise_if_given(own, [each])
                self._leave_out(each.slot, str(own), each)
            else:
                self._take(each, found)

    def _is_hopeless(self, slot: Slot) -> bool:
        """Say whether a smaller model is far too slow in the same place already; the slot is left out then."""
        where = slot.runtime, slot.precision, slot.threads
        if where not in self._too_slow or slot.is_file:
            return False
        self._leave_out(slot, self._too_slow[where])
        return True

    def _made(self, slot: Slot, folder: Path) -> Made | None:
        """Return ``slot`` with its file, or leave it out."""
        try:
            return self._files.made(slot, folder)
        except LeftOutError as error:
            self._leave_out(slot, str(error))
            return None

    def _leave_out(self, slot: Slot, why: str, made: Made | None = None) -> None:
        self._listener.on_message(f"{slot.what} {slot.runtime} {slot.precision} is left out: {why}")
        self._keep(slot, made, left_out=why)

    def _keep(
        self, slot: Slot, made: Made | None, *, measurement: Measurement | None = None, left_out: str = ""
    ) -> None:
        case = BenchCase(
            what=slot.what,
            model=made.model if made is not None else slot.what,
            runtime=slot.runtime,
            format=slot.format,
            precision=slot.precision,
            threads=slot.threads,
            accuracy=made.accuracy if made is not None else None,
            measurement=measurement,
            limit=self._limits.limit(made.case, measurement, made.work) if made is not None and measurement else None,
            left_out=left_out,
        )
        self._folder.keep(slot.number, case)
        self._done[slot.number] = case

    def _require_any(self, cases: Sequence[BenchCase]) -> None:
        if self._request.max_ms is None and not any(case.measurement for case in cases):
            raise ExportError(f"nothing could be measured; the first reason: {cases[0].left_out}")
