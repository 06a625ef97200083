"""Inline SVG charts that take their colours from the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgewise.report.axes import Scale, round_ticks, spread, tick_label

WIDTH, HEIGHT = 480, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 20, 40
LOG_SPAN = 20.0
"""Ratio of the largest to the middle value from which on a logarithmic axis shows more."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; points that are not finite are gaps."""

    name: str
    ys: Sequence[float]
    style: str
    """CSS class suffix: ``a`` (solid) or ``b`` (dashed)."""


@dataclass(frozen=True, slots=True)
class Point:
    """One numbered dot of a scatter chart."""

    x: float
    y: float
    number: int
    title: str
    chosen: bool = False


def line_chart(title: str, xs: Sequence[float], series: Sequence[Series], *, marked_x: float | None = None) -> Markup:
    """Draw lines over whole-numbered ``xs`` (epochs); a lone point becomes a dot.

    Args:
        title: read out by screen readers; also the tooltip.
        xs: shared by all series.
        series: each as long as ``xs``.
        marked_x: where to draw a thin vertical line (the best epoch).
    """
    finite = [y for line in series for y in line.ys if math.isfinite(y)]
    if not finite:
        return Markup("")
    x = Scale(min(xs) - (0.5 if len(xs) == 1 else 0), max(xs) + (0.5 if len(xs) == 1 else 0), LEFT, WIDTH - RIGHT)
    y = _value_scale(finite)
    parts = [_y_axis(y), _x_axis(x, round_ticks(x.low, x.high, 6, whole=True), "epoch")]
    if y.log:
        parts.append(_text(LEFT, TOP - 7, "logarithmic scale", "start"))
    if marked_x is not None:
        parts.append(_line(x(marked_x), TOP, x(marked_x), HEIGHT - BOTTOM, "mark"))
    parts += [_polyline(line, xs, x, y) for line in series]
    return _figure(title, parts)


def scatter_chart(
    title: str, points: Sequence[Point], x_label: str, y_label: str, *, limit_x: float | None = None
) -> Markup:
    """Draw numbered dots and, at ``limit_x``, the budget as a dashed line with the allowed side shaded."""
    if not points:
        return Markup("")
    widest = max([point.x for point in points] + ([limit_x] if limit_x is not None else []))
    x = Scale(0.0, widest * 1.08 or 1.0, LEFT, WIDTH - RIGHT)
    low, high = spread([point.y for point in points], margin=0.12)
    y = Scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [_y_axis(y), _x_axis(x, x.ticks(6), x_label), _text(LEFT, TOP - 7, y_label, "start")]
    if limit_x is not None:
        edge = x(limit_x)
        shade = Markup('<rect class="allowed" x="{}" y="{}" width="{:.1f}" height="{}"/>')
        parts.append(shade.format(LEFT, TOP, edge - LEFT, HEIGHT - BOTTOM - TOP))
        parts.append(_line(edge, TOP, edge, HEIGHT - BOTTOM, "limit"))
    # the chosen one last, so that it lies on top
    parts += [_dot(point, x(point.x), y(point.y)) for point in sorted(points, key=lambda point: point.chosen)]
    return _figure(title, parts)


def share_bar(share: float) -> Markup:
    """Draw a share 0-1 as a bar as wide as its table cell."""
    return Markup('<svg class="bar" aria-hidden="true"><rect width="{}" height="100%"/></svg>').format(_percent(share))


def interval_bar(value: float, low: float, high: float, longest: float, *, style: str = "") -> Markup:
    """Draw ``value`` as a bar on an axis from 0 to ``longest``, with a whisker from ``low`` to ``high``."""
    return Markup(
        '<svg class="interval {style}" aria-hidden="true"><rect class="track" width="100%" height="100%"/>'
        '<rect class="value" width="{value}" height="100%"/>'
        '<line x1="{low}" x2="{high}" y1="50%" y2="50%"/>'
        '<line x1="{low}" x2="{low}" y1="22%" y2="78%"/><line x1="{high}" x2="{high}" y1="22%" y2="78%"/></svg>'
    ).format(style=style, value=_percent(value / longest), low=_percent(low / longest), high=_percent(high / longest))


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%" if math.isfinite(share) else "0%"


def _value_scale(values: Sequence[float]) -> Scale:
    middle = sorted(values)[len(values) // 2]
    low, high = spread(values)
    if min(values) > 0 and max(values) > LOG_SPAN * middle:
        return Scale(min(values) * 0.9, max(values) * 1.1, HEIGHT - BOTTOM, TOP, log=True)
    return Scale(max(low, 0.0) if min(values) >= 0 else low, high, HEIGHT - BOTTOM, TOP)


def _figure(title: str, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img"><title>{}</title>').format(WIDTH, HEIGHT, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _y_axis(scale: Scale) -> Markup:
    parts: list[Markup] = []
    for tick in scale.ticks():
        at = scale(tick)
        parts.append(_line(LEFT, at, WIDTH - RIGHT, at, "grid"))
        parts.append(_text(LEFT - 7, at + 4, tick_label(tick), "end"))
    return Markup("").join(parts)


def _x_axis(scale: Scale, ticks: Sequence[float], label: str) -> Markup:
    base = HEIGHT - BOTTOM
    parts = [_line(LEFT, base, WIDTH - RIGHT, base, "axis")]
    parts += [_text(scale(tick), base + 17, tick_label(tick), "middle") for tick in ticks]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, label, "middle"))
    return Markup("").join(parts)


def _polyline(series: Series, xs: Sequence[float], x: Scale, y: Scale) -> Markup:
    parts: list[Markup] = []
    run: list[str] = []
    for at, value in [*zip(xs, series.ys, strict=True), (math.nan, math.nan)]:
        if math.isfinite(value):
            run.append(f"{x(at):.1f},{y(value):.1f}")
        elif run:
            parts.append(_run_of_points(run, series.style))
            run = []
    return Markup("").join(parts)


def _run_of_points(points: Sequence[str], style: str) -> Markup:
    if len(points) == 1:
        cx, cy = points[0].split(",")
        return Markup('<circle class="dot-{}" cx="{}" cy="{}" r="4"/>').format(style, cx, cy)
    return Markup('<polyline class="line-{}" points="{}"/>').format(style, " ".join(points))


def _dot(point: Point, cx: float, cy: float) -> Markup:
    return Markup(
        '<g class="point{chosen}"><title>{title}</title><circle cx="{cx:.1f}" cy="{cy:.1f}" r="9"/>'
        '<text x="{cx:.1f}" y="{ty:.1f}" text-anchor="middle">{number}</text></g>'
    ).format(
        chosen=" chosen" if point.chosen else "", title=point.title, cx=cx, cy=cy, ty=cy + 3.8, number=point.number
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(style, x1, y1, x2, y2)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)
