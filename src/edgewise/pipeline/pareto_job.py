"""`pareto`: measured latency against accuracy over the cases of one or more benches."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewise.bench.limits import check_max_ms
from edgewise.errors import ConfigError, InputError, OutputError, shown
from edgewise.models.facts import phones
from edgewise.pipeline.bench_folder import BenchFolder
from edgewise.records.bench import BenchCase
from edgewise.records.files import write_atomically
from edgewise.records.measurement import Measurement
from edgewise.report.figure_files import save_png
from edgewise.report.formatting import format_threads
from edgewise.report.pareto import ParetoPoint, answer, front, measured_points
from edgewise.report.pareto_chart import draw_pareto
from edgewise.report.pareto_page import ParetoPage, write_page


@dataclass(frozen=True, kw_only=True)
class ParetoRequest:
    """What is drawn, and what is asked."""

    benches: tuple[Path, ...]
    """Folders that `bench` wrote."""
    max_ms: float | None = None
    """The latency that is allowed."""
    min_top1: float | None = None
    """The accuracy that is needed, a fraction."""
    published: tuple[str, ...] = ()
    """Devices whose published latencies are drawn beside."""

    def check(self) -> None:
        """Refuse what means nothing.

        Raises:
            ConfigError: a number is out of range, or there is no bench.
        """
        if not self.benches:
            raise ConfigError("give the folder of a bench, as in runs/bench; edgewise bench makes one")
        if self.max_ms is not None:
            check_max_ms(self.max_ms)
        if self.min_top1 is not None and not 0 < self.min_top1 < 1:
            raise ConfigError(f"min_top1 is {100 * self.min_top1:g} %; must be above 0 and below 100")


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """What came out."""

    points: list[ParetoPoint]
    """All, fastest first; published ones last."""
    best: list[ParetoPoint]
    """Those that none beats."""
    sentence: str
    folder: Path
    """Where the chart, the page and the table are."""


def pareto(request: ParetoRequest, out_dir: Path | None = None) -> Pareto:
    """Write ``pareto.png``, ``pareto.html`` and ``pareto.csv`` and return what they show.

    Args:
        request: what is drawn and asked.
        out_dir: where to; the first bench's folder by default.

    Raises:
        ConfigError: a number is out of range.
        UnknownNameError: no such device.
        InputError: a folder holds no bench, a record is damaged, or no case has both a latency and an accuracy.
        OutputError: ``out_dir`` cannot be written.
    """
    request.check()
    published = [each for device in request.published for each in _published(device)]
    cases = [case for path in request.benches for case in BenchFolder.open(path).cases()]
    points = measured_points(cases)
    if not points:
        raise InputError(_why_none(cases))
    folder = out_dir if out_dir is not None else request.benches[0]
    title = _title([case.measurement for case in cases if case.measurement])
    sentence = answer(points, max_ms=request.max_ms, min_top1=request.min_top1)
    figure = draw_pareto([*points, *published], title=title, max_ms=request.max_ms)
    found = Pareto(points=[*points, *published], best=front(points), sentence=sentence, folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_png(figure, folder / "pareto.png")
        write_page(
            ParetoPage(title=title, sentence=sentence, points=found.points, best=found.best),
            figure,
            folder / "pareto.html",
        )
        write_atomically(folder / "pareto.csv", _table(found).encode())
    except OSError as error:
        raise OutputError(f"{shown(folder)} cannot be written: {error.strerror}") from error
    return found


def _published(device: str) -> list[ParetoPoint]:
    return [
        ParetoPoint(
            name=each.model,
            where=device,
            precision=phones.PRECISIONS[device],
            latency_ms=each.latency_ms,
            low_ms=each.latency_ms,
            high_ms=each.latency_ms,
            top1=each.top1,
            source=phones.SOURCE,
            published=True,
        )
        for each in phones.on_device(device)
    ]


def _title(measured: Sequence[Measurement]) -> str:
    cpus = ", ".join(sorted({each.environment.cpu for each in measured}))
    threads = " or ".join(format_threads(count) for count in sorted({each.threads for each in measured}))
    batches = " or ".join(map(str, sorted({each.batch for each in measured})))
    return f"{cpus}, {threads}, batch {batches}"


def _why_none(cases: Sequence[BenchCase]) -> str:
    if not any(case.measurement is not None and case.measurement.usable for case in cases):
        return "no case of these benches has a usable latency; go on with them, or measure again on a quieter machine"
    return (
        "none of the measured files has a known accuracy: models of the catalogue at their published size have one, "
        "and so have runs, and files judged on labelled images"
    )


def _limit(point: ParetoPoint) -> tuple[str, str, str]:
    limit = point.limit
    return ("", "", "") if limit is None else (f"{limit.limit_ms:.4g}", f"{limit.share:.4g}", limit.bound)


def _table(found: Pareto) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "model",
            "where",
            "precision",
            "threads",
            "latency_ms",
            "low_ms",
            "high_ms",
            "top1",
            "accuracy",
            "front",
            "doubt",
            "limit_ms",
            "of_limit",
            "bound",
        ]
    )
    for point in found.points:
        numbers = (f"{value:.4g}" for value in (point.latency_ms, point.low_ms, point.high_ms))
        writer.writerow(
            [
                *(point.name, point.where, point.precision, point.threads, *numbers),
                *(f"{point.top1:.4f}", point.source, int(point in found.best), point.doubt),
                *_limit(point),
            ]
        )
    return text.getvalue()
