"""Measured latency against accuracy: which files no other one beats, and the sentence that answers the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewise.records.bench import Accuracy, BenchCase
from edgewise.records.limit import Limit
from edgewise.report.formatting import format_ms, format_percent, format_plain
from edgewise.report.speed import common_reference_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """One file in the plane of latency and accuracy.

    Attributes:
        name: of the model, as it was asked for.
        where: the runtime; of a published latency, the device.
        precision: as in ``fp32``.
        latency_ms: at one speed of the machine, where the reference kernel was timed beside all.
        low_ms: lower end of its 95 % interval; the latency itself where none is known.
        high_ms: upper end.
        top1: a fraction, 0-1.
        source: of the accuracy, as in ``published``.
        threads: of one call.
        limit: of the machine that it was measured on; None where it is unknown.
        doubt: why it is drawn but never recommended; empty where it may be.
        published: whether the latency is somebody else's, on another device.
    """

    name: str
    where: str
    precision: str
    latency_ms: float
    low_ms: float
    high_ms: float
    top1: float
    source: str
    threads: int = 1
    limit: Limit | None = None
    doubt: str = ""
    published: bool = False

    @property
    def text(self) -> str:
        """Return it in a few words, as in ``mobilenetv4_conv_small, openvino bf16: 2.33 ms, 73.8 %``."""
        return f"{self.name}, {self.where} {self.precision}: {format_ms(self.latency_ms)}, {format_percent(self.top1)}"


def measured_points(cases: Sequence[BenchCase]) -> list[ParetoPoint]:
    """Return the measured cases whose accuracy is known, fastest first."""
    usable = [case.measurement for case in cases if case.measurement and case.measurement.usable and case.accuracy]
    at = common_reference_ms(usable)
    points = []
    for case in cases:
        measured, accuracy = case.measurement, case.accuracy
        if measured is None or accuracy is None or not measured.usable:
            continue
        latency_ms = measured.normalised_ms(at) if at is not None else measured.latency_ms
        assert latency_ms is not None
        scale = latency_ms / measured.latency_ms
        points.append(
            ParetoPoint(
                name=case.model,
                where=case.runtime,
                precision=case.precision,
                latency_ms=latency_ms,
                low_ms=measured.ci_low_ms * scale,
                high_ms=measured.ci_high_ms * scale,
                top1=accuracy.top1,
                source=accuracy.source,
                threads=case.threads,
                limit=case.limit,
                doubt=_doubt(case.precision, accuracy),
            )
        )
    return sorted(points, key=lambda point: point.latency_ms)


def front(points: Sequence[ParetoPoint]) -> list[ParetoPoint]:
    """Return the points that none beats in both latency and accuracy, fastest first; doubtful and published ones do not count."""
    best: list[ParetoPoint] = []
    eligible = [point for point in points if not point.doubt and not point.published]
    for point in sorted(eligible, key=lambda point: (point.latency_ms, -point.top1)):
        if not best or point.top1 > best[-1].top1:
            best.append(point)
    return best


def answer(points: Sequence[ParetoPoint], *, max_ms: float | None = None, min_top1: float | None = None) -> str:
    """Return the sentence that says what to take.

    Args:
        points: all that were measured.
        max_ms: the latency that is allowed; the most accurate within it is named.
        min_top1: the accuracy that is needed, a fraction; the fastest that has it is named.
    """
    best = front(points)
    if not best:
        return "Nothing to recommend: no file has a usable latency and an accuracy of its own."
    if max_ms is None and min_top1 is None:
        return f"{len(best)} of {len(points)} files are beaten by none, from {best[0].text}, to {best[-1].text}."
    fits = [
        point
        for point in best
        if (max_ms is None or point.latency_ms <= max_ms) and (min_top1 is None or point.top1 >= min_top1 - 1e-9)
    ]
    asked = " and ".join(
        [f"within {format_ms(max_ms)}"] * (max_ms is not None)
        + [f"with at least {format_plain(100 * (min_top1 or 0))} % top-1"] * (min_top1 is not None)
    )
    if not fits:
        return f"Nothing measured is {asked}; the front goes from {best[0].text}, to {best[-1].text}."
    chosen, word = (fits[-1], "Most accurate") if max_ms is not None else (fits[0], "Fastest")
    return f"{word} {asked}: {chosen.text}."


def _doubt(precision: str, accuracy: Accuracy) -> str:
    if not accuracy.of_this_file:
        return f"the accuracy is the float32 model's; {precision} was not judged on labelled images"
    if accuracy.drop is not None and accuracy.max_drop is not None and accuracy.drop > accuracy.max_drop + 1e-9:
        return f"top-1 falls by {format_plain(100 * accuracy.drop)} points, more than {format_plain(100 * accuracy.max_drop)}"
    return ""
