"""`compare`: whether one thing is faster than another, or whether nobody can tell."""

from __future__ import annotations

from pathlib import Path

from edgewise.bench.compare import Comparison, compare
from edgewise.errors import InputError, shown
from edgewise.pipeline.bench_job import measure_together
from edgewise.pipeline.listener import JobListener
from edgewise.records.bench import BenchCase, BenchRequest
from edgewise.records.measurement import Measurement

Pair = tuple[Measurement, Measurement]


def compare_two(request: BenchRequest, *, listener: JobListener) -> tuple[Comparison, Pair]:
    """Say how the second of two cases stands to the first: measured in turns now, or from the records of earlier benches.

    Args:
        request: two things as `bench_all` takes them, or one that is measured in two ways; or two records (``cases/….json``),
            which are compared at the machine's speed of their moment.
        listener: hears of it.

    Raises:
        ConfigError: these are not two cases.
        InputError, ExportError, BenchError: as `bench_all`.
    """
    records = [
        Path(each) for each in request.what if Path(each).suffix == ".json" and Path(each).parent.name == "cases"
    ]
    if len(records) == len(request.what) == 2:
        first, second = _told_apart(*map(_recorded, records))
    else:
        first, second = _told_apart(*measure_together(request, listener=listener, num_cases=2))
    return compare(first, second), (first, second)


def _recorded(path: Path) -> Measurement:
    case = BenchCase.load(path)
    if case.measurement is None:
        raise InputError(f"{shown(path)} holds no measurement: {case.left_out}")
    return case.measurement


def _told_apart(first: Measurement, second: Measurement) -> Pair:
    """Return both with names that differ: what tells them apart is added to a name that they share."""
    if first.name != second.name:
        return first, second
    ways = [(str(each.runtime), each.precision, f"{each.threads} threads") for each in (first, second)]
    for one, other in zip(*ways, strict=True):
        if one != other:
            return (
                first.model_copy(update={"name": f"{first.name} ({one})"}),
                second.model_copy(update={"name": f"{second.name} ({other})"}),
            )
    return first, second.model_copy(update={"name": f"{second.name} (again)"})
