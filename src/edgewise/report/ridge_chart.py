"""Charts of a sweep over ridge points: who is on the Pareto front where, and what costs what."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

INK = "#333a42"
CLASS_COLOURS: Mapping[str, str] = {
    "convolution": "#1f5fbf",
    "depthwise": "#c96a10",
    "classifier": "#2a8f5b",
    "attention": "#8d4bb5",
    "other": "#9aa3ab",
}
FAMILY_COLOURS: Mapping[str, str] = {
    "mobilenetv4": "#b0271b",
    "mobilenetv3": "#1f5fbf",
    "mobilenetv2": "#4f8fe0",
    "mobilenetv1": "#8fb8ee",
    "mobileone": "#2a8f5b",
    "repvit": "#8d4bb5",
    "repvgg": "#7a5c00",
    "mobileformer": "#c96a10",
}
OTHER = "#7d8792"
MAX_ROWS = 40
DPI = 130


class Curve(Protocol):
    """A model's cost at each ridge point."""

    @property
    def model(self) -> str:
        """Name."""

    @property
    def top1(self) -> float | None:
        """Published accuracy, a fraction."""

    @property
    def by_class(self) -> Mapping[str, Values]:
        """Cost of each class of operators."""

    @property
    def total(self) -> Values:
        """Cost in all."""


def draw_fronts(ridge_points: Values, curves: Sequence[Curve], members: NDArray[np.bool_], precision: str) -> Figure:
    """Draw for each model that is ever on the front, by accuracy, the ridge points at which it is.

    Args:
        ridge_points: swept, ascending.
        curves: of the models.
        members: which curve (row) is on the front at which ridge point (column).
        precision: that bytes were counted for.
    """
    from matplotlib.figure import Figure

    rows = sorted(
        (number for number in range(len(curves)) if members[number].any()),
        key=lambda number: (curves[number].top1 or 0.0, curves[number].model),
    )[-MAX_ROWS:]
    figure = Figure(figsize=(9.5, 1.4 + 0.24 * max(4, len(rows))), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    edges = _edges(len(ridge_points))
    for place, number in enumerate(rows):
        for at in np.flatnonzero(members[number]):
            axes.barh(
                place, edges[at + 1] - edges[at], left=edges[at], height=0.72, color=_family(curves[number].model)
            )
    axes.set_yticks(
        range(len(rows)), [f"{curves[number].model}  {100 * (curves[number].top1 or 0):.1f} %" for number in rows]
    )
    axes.tick_params(axis="y", labelsize=7)
    _ridge_axis(axes, ridge_points)
    axes.set_title(f"on the Pareto front of accuracy and roofline cost, {precision}", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_classes(ridge_points: Values, curves: Sequence[Curve], precision: str) -> Figure:
    """Draw for a few models what share of the cost each class of operators has at each ridge point."""
    from matplotlib.figure import Figure

    num_columns = min(2, len(curves)) or 1
    num_rows = max(1, math.ceil(len(curves) / num_columns))
    figure = Figure(figsize=(9.5, 0.6 + 2.9 * num_rows), dpi=DPI, layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False)
    at = np.arange(len(ridge_points))
    for number, axes in enumerate(grid.flat):
        if number >= len(curves):
            axes.set_visible(False)
            continue
        curve = curves[number]
        names = [name for name in CLASS_COLOURS if curve.by_class[name].any()]
        shares = [100 * curve.by_class[name] / curve.total for name in names]
        axes.stackplot(at, shares, labels=names, colors=[CLASS_COLOURS[name] for name in names])
        axes.set_ylim(0, 100)
        axes.set_title(f"{curve.model}, {precision}", fontsize=9, loc="left")
        axes.set_ylabel("share of the cost, %", fontsize=8)
        axes.tick_params(labelsize=7)
        _ridge_axis(axes, ridge_points)
        axes.margins(x=0)
        if number == 0:
            axes.legend(fontsize=7, loc="lower left", framealpha=0.85)
    return figure


def _edges(num: int) -> list[float]:
    return [place - 0.5 for place in range(num + 1)]


def _ridge_axis(axes: Axes, ridge_points: Values) -> None:
    """Label places on the axis, which are the swept points in order, with round ridge points."""
    round_ones = [value for value in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000) if value <= ridge_points[-1]]
    places = [int(np.argmin(np.abs(ridge_points - value))) for value in round_ones if value >= ridge_points[0]]
    shown = dict(zip(places, (value for value in round_ones if value >= ridge_points[0]), strict=True))
    axes.set_xticks(list(shown), [f"{value:g}" for value in shown.values()])
    axes.set_xlabel("ridge point, MACs per byte", fontsize=8)


def _family(model: str) -> str:
    return next((colour for name, colour in FAMILY_COLOURS.items() if model.startswith(name)), OTHER)
