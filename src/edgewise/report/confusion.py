"""The confusion matrix as a picture of any number of classes, and what is confused most."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from edgewise.records.training import EvalRecord
from edgewise.report.formatting import format_percent, shorten

MAX_LABELLED = 40
"""Up to this many classes the matrix carries labels; above, one pixel stands for one cell."""
MAX_NUMBERED = 20
INK_NEEDS_WHITE = 0.85
"""Strength of a cell's colour from which on its number is white on a light page."""
RIGHT_RGB, WRONG_RGB = (47, 111, 208), (208, 74, 60)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Images of one class taken for another."""

    truth: str
    answer: str
    count: int
    share: float
    """Of the true class's images, 0-1."""


def most_confused(evaluation: EvalRecord, limit: int = 12) -> tuple[ConfusedPair, ...]:
    """Return the off-diagonal cells with the highest counts, largest first."""
    counts = np.array(evaluation.confusion, dtype=np.int64)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:limit]
    pairs: list[ConfusedPair] = []
    for flat in order.tolist():
        row, column = divmod(flat, len(counts))
        count = int(counts[row, column])
        if count:
            labels = evaluation.labels
            pairs.append(ConfusedPair(labels[row], labels[column], count, count / int(totals[row])))
    return tuple(pairs)


def cell_strengths(confusion: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return how strongly each cell is inked, 0-1: the root of its share of the row, so that rare errors show.

    Args:
        confusion: (classes, classes), rows are the true ones.
    """
    counts = np.array(confusion, dtype=np.float64)
    strengths: NDArray[np.float64] = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    return strengths


def confusion_picture(evaluation: EvalRecord) -> Markup:
    """Draw the matrix: labelled cells for few classes, a compact picture for many."""
    if len(evaluation.labels) <= MAX_LABELLED:
        return _labelled(evaluation)
    return _compact(evaluation)


def _labelled(evaluation: EvalRecord) -> Markup:
    classes = len(evaluation.labels)
    labels = [shorten(label, 24) for label in evaluation.labels]
    margin = 16 + 7 * max(len(label) for label in labels)
    cell = _cell_px(classes)
    size = margin + cell * classes + 4
    parts = [
        Markup('<svg class="matrix" viewBox="0 0 {0} {0}" style="width:{0}px" role="img"><title>{1}</title>').format(
            size, f"Confusion matrix of {classes} classes; rows are true classes, columns answers"
        ),
    ]
    strengths = cell_strengths(evaluation.confusion)
    for row, label in enumerate(labels):
        at = margin + cell * row + cell / 2
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(margin - 6, at + 4, label)
            + Markup('<text transform="translate({},{}) rotate(-90)">{}</text>').format(at + 4, margin - 6, label)
        )
        parts += [_cell(evaluation, row, column, margin, float(strengths[row, column])) for column in range(classes)]
    return Markup("").join(parts) + Markup("</svg>")


def _cell(evaluation: EvalRecord, row: int, column: int, margin: int, strength: float) -> Markup:
    count = evaluation.confusion[row][column]
    side = _cell_px(len(evaluation.labels))
    x, y = margin + side * column, margin + side * row
    box = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" style="fill-opacity:{:.2f}">{}</rect>')
    if not count:
        return box.format("cell", x, y, side - 1, side - 1, 1, "")
    share = format_percent(count / sum(evaluation.confusion[row]))
    title = f"{evaluation.labels[row]} → {evaluation.labels[column]}: {count} ({share})"
    style = "right" if row == column else "wrong"
    rect = box.format(style, x, y, side - 1, side - 1, strength, Markup("<title>{}</title>").format(title))
    if len(evaluation.labels) > MAX_NUMBERED:
        return rect
    ink = "on-ink" if strength > INK_NEEDS_WHITE else ""
    number = Markup('<text class="{}" x="{}" y="{}" text-anchor="middle">{}</text>')
    return rect + number.format(ink, x + (side - 1) / 2, y + side / 2 + 3.5, count if count < 10_000 else "…")


def _cell_px(classes: int) -> int:
    return 44 if classes <= 6 else 34 if classes <= 12 else 26 if classes <= MAX_NUMBERED else 18


def _compact(evaluation: EvalRecord) -> Markup:
    from PIL import Image

    strengths = cell_strengths(evaluation.confusion)
    classes = len(strengths)
    pixels = np.zeros((classes, classes, 4), dtype=np.uint8)
    pixels[..., :3] = WRONG_RGB
    pixels[np.arange(classes), np.arange(classes), :3] = RIGHT_RGB
    # transparency, not white: the same picture lies on a light and on a dark page
    pixels[..., 3] = np.round(255 * strengths).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return Markup('<img class="matrix-picture" alt="{}" src="data:image/png;base64,{}">').format(
        f"Confusion matrix of {classes} classes, one pixel a cell; rows are true classes, columns answers",
        base64.b64encode(buffer.getvalue()).decode(),
    )
