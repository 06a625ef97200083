"""The chart of latency against accuracy, as PNG and as SVG for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewise.report.pareto import ParetoPoint, front

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#1f5fbf", "#c96a10", "#2a8f5b", "#8d4bb5", "#b0271b", "#4f7a8c", "#7a5c00")
"""One for each runtime."""
MARKERS = {"fp32": "o", "bf16": "s", "fp16": "^", "int8": "D"}
OTHER_MARKER = "P"
PUBLISHED = "#7d8792"
MAX_LABELS = 14
DPI = 130


def draw_pareto(points: Sequence[ParetoPoint], *, title: str, max_ms: float | None = None) -> Figure:
    """Draw all ``points``, hollow where they are not to be recommended, and the line that none of the others beats.

    Args:
        points: at least one.
        title: above the chart: where and how it was measured.
        max_ms: the allowed latency, drawn as a dashed line.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    runtimes = list(dict.fromkeys(point.where for point in points if not point.published))
    for number, runtime in enumerate(runtimes):
        _scatter(axes, [p for p in points if p.where == runtime and not p.published], COLOURS[number % len(COLOURS)])
    _scatter(axes, [point for point in points if point.published], PUBLISHED)
    best = front(points)
    if best:
        # post: the accuracy that a latency buys stays until the next better file
        axes.step(
            [point.latency_ms for point in best],
            [100 * point.top1 for point in best],
            where="post",
            color="#333a42",
            linewidth=1.2,
            zorder=1,
        )
        _name(axes, best)
    if max_ms is not None:
        axes.axvline(max_ms, color="#b0271b", linestyle="--", linewidth=1)
    _finish(axes, points, title, runtimes)
    return figure


def _scatter(axes: Axes, points: Sequence[ParetoPoint], colour: str) -> None:
    for point in points:
        hollow = point.doubt or point.published
        axes.scatter(
            point.latency_ms,
            100 * point.top1,
            marker="x" if point.published else MARKERS.get(point.precision, OTHER_MARKER),
            s=34 if not point.published else 26,
            facecolors=None if point.published else ("none" if hollow else colour),
            edgecolors=None if point.published else colour,
            color=colour if point.published else None,
            linewidths=1.1,
            zorder=2,
        )


def _name(axes: Axes, best: Sequence[ParetoPoint]) -> None:
    """Write the names of the front's points; of many, those that are spread over it."""
    step = math.ceil(len(best) / MAX_LABELS)
    for number, point in enumerate(best):
        if number % step and number != len(best) - 1:
            continue
        axes.annotate(
            f"{point.name}\n{point.where} {point.precision}",
            (point.latency_ms, 100 * point.top1),
            xytext=(-6, 5),
            textcoords="offset points",
            ha="right",
            fontsize=6.5,
            color="#333a42",
        )


def _finish(axes: Axes, points: Sequence[ParetoPoint], title: str, runtimes: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator

    latencies = [point.latency_ms for point in points]
    if max(latencies) > 3 * min(latencies):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(LogLocator(subs=(1.0,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("latency, ms")
    axes.set_ylabel("top-1, %")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12, y=0.08)
    dots = [
        Line2D([], [], linestyle="", marker="o", color=COLOURS[number % len(COLOURS)], label=runtime)
        for number, runtime in enumerate(runtimes)
    ]
    for precision in sorted({point.precision for point in points if not point.published}):
        marker = MARKERS.get(precision, OTHER_MARKER)
        dots.append(Line2D([], [], linestyle="", marker=marker, color="#333a42", label=precision))
    if any(point.doubt for point in points):
        dots.append(
            Line2D(
                [], [], linestyle="", marker="o", markerfacecolor="none", color="#333a42", label="accuracy not shown"
            )
        )
    dots.extend(
        Line2D([], [], linestyle="", marker="x", color=PUBLISHED, label=f"{device} (published)")
        for device in dict.fromkeys(point.where for point in points if point.published)
    )
    axes.legend(handles=dots, frameon=False, fontsize=8, loc="lower right")
