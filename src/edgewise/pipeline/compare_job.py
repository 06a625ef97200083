"""`compare`: whether one thing is faster than another, or whether nobody can tell."""

from __future__ import annotations

from collections.abc import Sequence

from edgewise.bench.compare import Comparison, compare
from edgewise.pipeline.bench_job import How, bench_all
from edgewise.pipeline.listener import JobListener
from edgewise.records.measurement import Measurement


def compare_two(
    what: Sequence[str], how: How, *, listener: JobListener
) -> tuple[Comparison, tuple[Measurement, Measurement]]:
    """Measure two cases in turns and say how the second stands to the first.

    Args:
        what: two things as `bench_all` takes them, or one that ``how`` measures in two ways.
        how: in what ways.
        listener: hears of it.

    Raises:
        ConfigError: these are not two cases.
        InputError, ExportError, BenchError: as `bench_all`.
    """
    first, second = _told_apart(*bench_all(what, how, listener=listener, num_cases=2))
    return compare(first, second), (first, second)


def _told_apart(first: Measurement, second: Measurement) -> tuple[Measurement, Measurement]:
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
