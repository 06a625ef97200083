"""Plots of a run as PNG files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgewise.records.files import write_atomically
from edgewise.records.training import EpochRecord, EvalRecord
from edgewise.report.confusion import MAX_LABELLED, MAX_NUMBERED, cell_strengths
from edgewise.report.svg import LOG_SPAN
from edgewise.report.text_on_pictures import plot_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

FIRST, SECOND = "#1f5fbf", "#c96a10"
DPI = 120


def plot_curves(epochs: Sequence[EpochRecord], path: Path) -> None:
    """Draw loss and validation accuracy by epoch; values that are not finite are gaps.

    Args:
        epochs: at least one.
        path: the PNG file, written whole or not at all.

    Raises:
        OSError: ``path`` cannot be written.
    """
    figure = _figure(10, 3.8)
    xs = [epoch.epoch for epoch in epochs]
    marker = "o" if len(epochs) == 1 else None
    loss, accuracy = figure.subplots(1, 2)
    train, val = [epoch.train_loss for epoch in epochs], [epoch.val_loss for epoch in epochs]
    loss.plot(xs, train, color=FIRST, marker=marker, label="training")
    loss.plot(xs, val, color=SECOND, marker=marker, linestyle="--", label="validation")
    if _spans_decades([*train, *val]):
        loss.set_yscale("log")
    accuracy.plot(xs, [100 * epoch.val_top1 for epoch in epochs], color=FIRST, marker=marker, label="top-1")
    accuracy.plot(
        xs, [100 * epoch.val_top5 for epoch in epochs], color=SECOND, marker=marker, linestyle="--", label="top-5"
    )
    if len(epochs) == 1:
        loss.set_xlim(xs[0] - 0.5, xs[0] + 0.5)
        accuracy.set_xlim(xs[0] - 0.5, xs[0] + 0.5)
    _finish_curve(loss, "loss")
    _finish_curve(accuracy, "validation accuracy, %")
    _save(figure, path)


def plot_confusion(evaluation: EvalRecord, path: Path) -> None:
    """Draw the confusion matrix: rows true, columns answers; labels up to 40 classes, counts up to 20.

    Args:
        evaluation: of any number of classes.
        path: the PNG file, written whole or not at all.

    Raises:
        OSError: ``path`` cannot be written.
    """
    classes = len(evaluation.labels)
    side = min(max(4.5, 2.5 + 0.34 * classes), 12.0)
    figure = _figure(side + 0.8, side)
    axes = figure.subplots()
    strengths = cell_strengths(evaluation.confusion)
    image = axes.imshow(strengths**2, cmap="Blues", norm=_root_norm(), interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.046)
    axes.set_xlabel("answer")
    axes.set_ylabel("true class")
    if classes <= MAX_LABELLED:
        labels = [plot_label(label) for label in evaluation.labels]
        axes.set_xticks(range(classes), labels, rotation=90)
        axes.set_yticks(range(classes), labels)
    if classes <= MAX_NUMBERED:
        _write_counts(axes, evaluation)
    _save(figure, path)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _finish_curve(axes: Axes, name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _spans_decades(values: Sequence[float]) -> bool:
    finite = sorted(value for value in values if math.isfinite(value))
    return bool(finite) and finite[0] > 0 and finite[-1] > LOG_SPAN * finite[len(finite) // 2]


def _root_norm() -> Normalize:
    from matplotlib.colors import PowerNorm

    return PowerNorm(0.5, vmin=0.0, vmax=1.0)


def _write_counts(axes: Axes, evaluation: EvalRecord) -> None:
    strengths = cell_strengths(evaluation.confusion)
    for row, column in np.argwhere(strengths > 0).tolist():
        ink = "white" if strengths[row, column] > 0.6 else "black"
        count = evaluation.confusion[row][column]
        axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    # tight: constrained layout alone cuts the left labels of a square matrix
    figure.savefig(buffer, format="png", bbox_inches="tight", pad_inches=0.1)
    write_atomically(path, buffer.getvalue())
