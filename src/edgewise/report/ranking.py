"""The files of a run compared: what each costs in accuracy, what it gains in time, which one to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewise.records.measurement import Measurement
from edgewise.records.run import FileResult, RunRecord
from edgewise.report.fall import fall_sentence
from edgewise.report.formatting import format_ms, format_plain, format_points, format_significant, format_threads

DEFAULT_MAX_DROP = 0.01
"""Accepted fall of top-1 against the torch model where a file's verification names none."""


@dataclass(frozen=True, slots=True)
class RankedFile:
    """One row of the file table."""

    result: FileResult
    change: float | None
    """Top-1 minus the torch model's, as a fraction."""
    within_limit: bool
    rejected: bool
    best: bool


def rank_files(run: RunRecord) -> tuple[RankedFile, ...]:
    """Join each file with its change of accuracy and mark the fastest one within the accuracy limit."""
    best = fastest_file(run)
    return tuple(
        RankedFile(
            result=file,
            change=_change(file, run),
            within_limit=_within_limit(file, run),
            rejected=file.measurement is not None and not file.measurement.usable,
            best=file is best,
        )
        for file in run.files
    )


def fastest_file(run: RunRecord) -> FileResult | None:
    """Return the exported file with the lowest median latency among those within the accuracy limit.

    Rejected measurements are not ranked, nor are those with other threads or batch than the first usable one.
    """
    return min(_comparable(run), key=_latency, default=None)


def max_drop(file: FileResult) -> float:
    """Return the accepted fall of top-1 of ``file``, as a fraction."""
    verification = file.artifact.verification if file.artifact else None
    if verification is None or verification.max_drop is None:
        return DEFAULT_MAX_DROP
    return verification.max_drop


def best_file_sentence(run: RunRecord) -> str:
    """Name the fastest file within the accuracy limit, or say why there is none."""
    best = fastest_file(run)
    if best is not None and best.measurement is not None:
        measurement = best.measurement
        return (
            f"Fastest file within the accuracy limit: {best.name}, {format_ms(measurement.latency_ms)} "
            f"for a batch of {measurement.batch} in {measurement.runtime} "
            f"with {format_threads(measurement.threads)}{_ties(best, run)}."
        )
    if any(file.artifact is not None and _usable(file) for file in run.files):
        return "No measured file keeps within the accuracy limit."
    return "No file has a usable latency measurement, so none is named fastest."


def reduced_sentences(run: RunRecord) -> tuple[str, ...]:
    """Say for each file below fp32 whether it is faster than the fp32 file of its format, and what it does to accuracy."""
    reduced = [file for file in run.files if file.artifact is not None and file.artifact.precision != "fp32"]
    return tuple(f"{file.name}: {_speed(file, run.files)}; {_accuracy(file, run)}." for file in reduced)


def torch_top1(run: RunRecord) -> float | None:
    """Return the torch model's top-1: of its own row, else of the run's evaluation."""
    for file in run.files:
        if file.artifact is None and file.top1 is not None:
            return file.top1
    return run.evaluation.top1 if run.evaluation else None


def _comparable(run: RunRecord) -> list[FileResult]:
    fit = [file for file in run.files if file.artifact is not None and _usable(file) and _within_limit(file, run)]
    return [file for file in fit if _same_setting(file.measurement, fit[0].measurement)]


def _ties(best: FileResult, run: RunRecord) -> str:
    others = [file for file in _comparable(run) if file is not best]
    names = [file.name for file in others if _overlap(file.measurement, best.measurement)]
    return f" (not clearly faster than {', '.join(names)})" if names else ""


def _overlap(one: Measurement | None, other: Measurement | None) -> bool:
    assert one is not None
    assert other is not None
    return one.ci_low_ms <= other.ci_high_ms and other.ci_low_ms <= one.ci_high_ms


def _speed(file: FileResult, files: Sequence[FileResult]) -> str:
    partner = _fp32_partner(file, files)
    if partner is None or partner.measurement is None or file.measurement is None:
        return "its speed cannot be compared with fp32 (no usable measurement of both)"
    mine, other = file.measurement, partner.measurement
    if _overlap(mine, other):
        return f"no clear difference in speed to {partner.name} (the intervals overlap)"
    faster = mine.latency_ms < other.latency_ms
    ratio = other.latency_ms / mine.latency_ms if faster else mine.latency_ms / other.latency_ms
    word = "faster" if faster else "slower"
    noisy = ", measured under noise" if "noisy" in (mine.verdict, other.verdict) else ""
    return f"{format_significant(ratio)} times {word} than {partner.name} here{noisy}"


def _accuracy(file: FileResult, run: RunRecord) -> str:
    change = _change(file, run)
    if change is None:
        return "its accuracy was not measured"
    verdict = "within" if _within_limit(file, run) else "more than"
    limit = f"{verdict} the accepted fall of {format_plain(100 * max_drop(file))}"
    proof = file.artifact.verification if file.artifact else None
    if proof is not None and proof.paired is not None:
        return f"{fall_sentence(proof.paired, max_drop(file))}; {limit}"
    return f"top-1 changes by {format_points(change)} points, {limit}"


def _fp32_partner(file: FileResult, files: Sequence[FileResult]) -> FileResult | None:
    return next((other for other in files if _is_fp32_partner(other, file)), None)


def _is_fp32_partner(other: FileResult, file: FileResult) -> bool:
    if other.artifact is None or file.artifact is None or other.measurement is None or file.measurement is None:
        return False
    return (
        other.artifact.precision == "fp32"
        and other.artifact.format == file.artifact.format
        and other.measurement.runtime == file.measurement.runtime
        and other.measurement.usable
        and file.measurement.usable
        and _same_setting(other.measurement, file.measurement)
    )


def _change(file: FileResult, run: RunRecord) -> float | None:
    reference = torch_top1(run)
    if file.top1 is None or reference is None or file.artifact is None:
        return None
    return file.top1 - reference


def _within_limit(file: FileResult, run: RunRecord) -> bool:
    proof = file.artifact.verification if file.artifact else None
    if proof is not None and not proof.passed:
        return False
    change = _change(file, run)
    # 1e-9: 0.97 - 0.98 is a hair below -0.01 in binary
    return change is not None and change >= -max_drop(file) - 1e-9


def _usable(file: FileResult) -> bool:
    return file.measurement is not None and file.measurement.usable


def _same_setting(one: Measurement | None, other: Measurement | None) -> bool:
    assert one is not None
    assert other is not None
    return (one.threads, one.batch) == (other.threads, other.batch)


def _latency(file: FileResult) -> float:
    assert file.measurement is not None
    return file.measurement.latency_ms
