"""A figure of several blocks side by side, each with its name, its input and its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgewise.report.diagram.canvas import NOTE_SIZE, TITLE_SIZE, Canvas
from edgewise.report.diagram.layout import draw, extent_of, lead_in, token_offset
from edgewise.report.diagram.parts import Chain, Lanes
from edgewise.report.diagram.text_width import text_width

MAX_WIDTH: Final = 980
MARGIN: Final = 18
PANEL_GAP: Final = 30
HEADING: Final = 40
"""Height of a panel's title and note."""
SHAPE: Final = 20
"""Height of the line that names an input or output."""
STEM: Final = 16
"""Length of the arrows from the input and to the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One block."""

    title: str
    note: str
    drawing: Chain | Lanes
    in_map: str
    out_map: str
    tokens: str = ""
    """What the tokens are, where there are any: ``6 × 192``."""


def draw_panels(title: str, groups: Sequence[Sequence[Panel]]) -> str:
    """Return an SVG file with the panels in lines, as many to a line as fit.

    Args:
        title: for screen readers.
        groups: panels that stay on one line together; at least one group, none of them empty.
    """
    canvas = Canvas()
    y, widest = float(MARGIN), 0.0
    for line in _lines(groups):
        x = float(MARGIN)
        for panel in line:
            _draw_panel(canvas, panel, x, y)
            x += _width(panel) + PANEL_GAP
        widest = max(widest, x - PANEL_GAP + MARGIN)
        y += max(_height(panel) for panel in line) + PANEL_GAP
    return canvas.svg(widest, y - PANEL_GAP + MARGIN, title)


def _lines(groups: Sequence[Sequence[Panel]]) -> list[list[Panel]]:
    lines: list[list[Panel]] = []
    used = float(MAX_WIDTH)
    for group in groups:
        wanted = sum(_width(panel) + PANEL_GAP for panel in group)
        if used + wanted > MAX_WIDTH - 2 * MARGIN:
            lines.append([])
            used = -PANEL_GAP
        lines[-1].extend(group)
        used += wanted
    return lines


def _sides(panel: Panel) -> tuple[float, float]:
    """Return how far the panel reaches left and right of the map's line."""
    extent = extent_of(panel.drawing)
    heading = max(text_width(panel.title, TITLE_SIZE, bold=True), text_width(panel.note, NOTE_SIZE))
    if isinstance(panel.drawing, Lanes):
        missing = max(0.0, heading - extent.width) / 2
        return extent.left + missing, extent.right + missing
    return max(extent.left, heading / 2), max(extent.right, heading / 2)


def _width(panel: Panel) -> float:
    return sum(_sides(panel))


def _height(panel: Panel) -> float:
    return HEADING + 2 * (SHAPE + STEM) + extent_of(panel.drawing).height


def _draw_panel(canvas: Canvas, panel: Panel, x: float, y: float) -> None:
    left, right = _sides(panel)
    line = x + left
    middle = x + (left + right) / 2 if isinstance(panel.drawing, Lanes) else line
    canvas.text(middle, y + 12, panel.title, "b")
    canvas.text(middle, y + 28, panel.note, "d")
    y += HEADING
    top, height = y + SHAPE + STEM, extent_of(panel.drawing).height
    lead_in(canvas, panel.drawing, line, y + SHAPE, top)
    lanes = [(line, panel.in_map, panel.out_map)]
    if isinstance(panel.drawing, Lanes):
        tokens = line + token_offset(panel.drawing)
        lead_in(canvas, panel.drawing, tokens, y + SHAPE, top)
        lanes.append((tokens, panel.tokens, panel.tokens))
    for at, before, after in lanes:
        canvas.text(at, y + 13, before)
        canvas.arrow([(at, top + height), (at, top + height + STEM)])
        canvas.text(at, top + height + STEM + 14, after)
    draw(canvas, panel.drawing, line, top)
