"""The report of a run: one HTML file that opens anywhere, without a network and without JavaScript."""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from functools import lru_cache
from importlib import resources
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from edgewise.records.files import write_atomically
from edgewise.records.run import Candidate, Choice, RunRecord
from edgewise.records.training import ClassResult, EvalRecord, TrainRecord
from edgewise.report import confusion, formatting, ranking
from edgewise.report.fall import fall_sentence
from edgewise.report.mixed import layers_sentence, telling_layers
from edgewise.report.svg import Point, Series, interval_bar, line_chart, scatter_chart, share_bar
from edgewise.report.uncertainty import wilson_interval

if TYPE_CHECKING:
    from jinja2 import Environment

FILTERS = (
    *("count", "bytes", "ms", "significant", "percent", "points", "loss", "difference"),
    *("duration", "date", "plain", "threads", "shape", "limit"),
)
"""Names of the functions ``format_…`` that the templates use."""
TINY_PICTURE = 96
"""Pictures narrower than this many pixels are enlarged with hard edges."""


def render_report(run: RunRecord) -> str:
    """Return the report of ``run`` as one self-contained HTML document."""
    template = page_environment().get_template("report.html.j2")
    return template.render(
        run=run,
        css=Markup(page_css()),  # noqa: S704 (our own file)
        files=ranking.rank_files(run),
        verified=[file for file in run.files if file.artifact and file.artifact.verification],
        best=ranking.fastest_file(run),
        best_sentence=ranking.best_file_sentence(run),
        reduced_sentences=ranking.reduced_sentences(run),
        longest_ms=_longest_ms(run),
        verdict=verdict(run),
        preprocessing=next((file.artifact.preprocessing for file in run.files if file.artifact), None),
        choice_chart=_choice_chart(run.choice) if run.choice else "",
        curves=_curves(run.training, len(run.data.labels)) if run.training else (),
        matrix=confusion.confusion_picture(run.evaluation) if run.evaluation else "",
        pairs=confusion.most_confused(run.evaluation) if run.evaluation else (),
        top1_interval=_top1_interval(run.evaluation),
        weakest=_weakest(run.evaluation),
        config=_yaml(run),
    )


def write_report(run: RunRecord, path: Path) -> None:
    """Write the report of ``run`` to ``path``, whole or not at all.

    Raises:
        OSError: ``path`` cannot be written; an older file there is then untouched.
    """
    write_atomically(path, render_report(run).encode("utf-8", "backslashreplace"))


def verdict(run: RunRecord) -> str:
    """Sum up in a few words whether the files were proved equal and the times can be trusted."""
    checked = [file.artifact.verification for file in run.files if file.artifact and file.artifact.verification]
    measured = [file.measurement.verdict for file in run.files if file.measurement]
    words: list[str] = []
    if checked:
        passed = sum(record.passed for record in checked)
        words.append(f"{passed} of {len(checked)} files verified")
    if measured:
        trusted = measured.count("trusted")
        words.append("all times trusted" if trusted == len(measured) else f"{trusted} of {len(measured)} times trusted")
    return ", ".join(words)


@lru_cache(maxsize=1)
def page_environment() -> Environment:
    """Return the templates with the filters that they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("edgewise.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({name: getattr(formatting, f"format_{name}") for name in FILTERS})
    environment.filters.update(is_tiny_picture=is_tiny_picture, breakable=breakable, file_name=file_name)
    environment.filters.update(layers_sentence=layers_sentence, telling_layers=telling_layers)
    environment.globals.update(share_bar=share_bar, interval_bar=interval_bar, fall_sentence=fall_sentence)
    return environment


@lru_cache(maxsize=1)
def page_css() -> str:
    """Return the style of all pages."""
    return resources.files("edgewise.report").joinpath("templates", "report.css").read_text(encoding="utf-8")


def is_tiny_picture(png_base64: str) -> bool:
    """Say whether a PNG, as base64, is so narrow that smooth enlarging would blur it."""
    try:
        head = base64.b64decode(png_base64[:32], validate=True)
    except binascii.Error:
        return False
    return len(head) == 24 and struct.unpack(">I", head[16:20])[0] < TINY_PICTURE


def file_name(path: str) -> str:
    """Return the last part of a path: a report is shown to others, whom the folders of this machine do not concern."""
    return PurePath(path).name or path


def breakable(name: str) -> Markup:
    """Escape a name and let its line break after ``_``, ``.``, ``/`` and ``-``."""
    return Markup(re.sub(r"([_./-])", r"\1<wbr>", str(escape(name))))  # noqa: S704 (escaped in the line itself)


def _choice_chart(choice: Choice) -> Markup:
    points = [
        _candidate_point(number, candidate, candidate.latency_ms, candidate.published_top1)
        for number, candidate in enumerate(choice.candidates, start=1)
        if candidate.latency_ms is not None and math.isfinite(candidate.latency_ms)
        if candidate.published_top1 is not None
    ]
    title = "Published top-1 of the candidates against their latency"
    return scatter_chart(title, points, "latency, ms", "published top-1, %", limit_x=choice.max_ms)


def _candidate_point(number: int, candidate: Candidate, latency_ms: float, top1: float) -> Point:
    accuracy = formatting.format_percent(top1)
    title = f"{candidate.name}: {formatting.format_ms(latency_ms)}, {accuracy}"
    return Point(latency_ms, 100 * top1, number, title, candidate.chosen)


def _curves(training: TrainRecord, num_classes: int) -> tuple[Markup, ...]:
    epochs = training.epochs
    if not epochs:
        return ()
    xs = [float(epoch.epoch) for epoch in epochs]
    loss = [
        Series("training", [epoch.train_loss for epoch in epochs], "a"),
        Series("validation", [epoch.val_loss for epoch in epochs], "b"),
    ]
    accuracy = [Series("top-1", [100 * epoch.val_top1 for epoch in epochs], "a")]
    if num_classes > 5:
        accuracy.append(Series("top-5", [100 * epoch.val_top5 for epoch in epochs], "b"))
    best = float(training.best_epoch)
    return (
        line_chart("Loss of training and validation by epoch", xs, loss, marked_x=best),
        line_chart("Validation accuracy in per cent by epoch", xs, accuracy, marked_x=best),
    )


def _longest_ms(run: RunRecord) -> float:
    measured = [file.measurement for file in run.files if file.measurement]
    ends = [max(m.latency_ms, m.ci_high_ms) for m in measured]
    return max((end for end in ends if math.isfinite(end)), default=0.0) * 1.02


def _top1_interval(evaluation: EvalRecord | None) -> tuple[float, float] | None:
    if evaluation is None or evaluation.num_images < 1 or not 0 <= evaluation.top1 <= 1:
        return None
    return wilson_interval(evaluation.top1, evaluation.num_images)


def _weakest(evaluation: EvalRecord | None, limit: int = 10) -> tuple[ClassResult, ...]:
    if evaluation is None:
        return ()
    seen = [result for result in evaluation.classes if result.num_images and math.isfinite(result.recall)]
    return tuple(sorted(seen, key=lambda result: result.recall)[:limit])


def _yaml(run: RunRecord) -> str:
    import yaml

    config = run.model_dump(mode="json", include={"config"})["config"]
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
