"""Placing a block's steps one below the other, branches side by side, and drawing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgewise.report.diagram.canvas import NOTE_SIZE, TITLE_SIZE, Canvas
from edgewise.report.diagram.parts import Box, Branches, Chain, Lane, Lanes, Node, Residual
from edgewise.report.diagram.text_width import text_width

GAP: Final = 18
"""Between steps, for an arrow."""
BRANCH_GAP: Final = 16
SIDE: Final = 20
"""From a chain to the line of its residual."""
FORK: Final = 14
"""From where a line parts to the first step behind it, and from where lines meet to their sum."""
SUM: Final = 8
"""Radius of a sum's sign."""
STRIP_HEIGHT: Final = 17
IDENTITY: Final = "identity"
LANE_GAP: Final = 84
"""Between the lanes of map and tokens, for the labels of what passes over."""
STACKED: Final = 4
"""Offset of the cards behind a box that stands for several."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a drawing reaches from its centre line, and its height."""

    left: float
    right: float
    height: float

    @property
    def width(self) -> float:
        """Return the whole width."""
        return self.left + self.right


def extent_of(drawing: Chain | Lanes) -> Extent:
    """Return the extent of a drawing; that of lanes is measured from the map's line."""
    if not isinstance(drawing, Lanes):
        return _chain(drawing, _common_width(drawing))
    map_, tokens = (_lane(drawing, lane) for lane in ("map", "tokens"))
    height = sum(_node(node, _lane_width(drawing, lane)).height for lane, node in drawing.steps)
    height += GAP * (len(drawing.steps) - 1)
    return Extent(map_.left, map_.right + LANE_GAP + tokens.width, height)


def token_offset(drawing: Lanes) -> float:
    """Return how far right of the map's line that of the tokens runs."""
    return _lane(drawing, "map").right + LANE_GAP + _lane(drawing, "tokens").left


def lead_in(canvas: Canvas, drawing: Chain | Lanes, x: float, start: float, end: float) -> None:
    """Lead the map's line down to the top of a drawing."""
    if isinstance(drawing, Lanes):
        canvas.line([(x, start), (x, end)])
    else:
        _lead(canvas, drawing[0], x, start, end)


def draw(canvas: Canvas, drawing: Chain | Lanes, x: float, y: float) -> None:
    """Draw with the centre line at ``x`` and the top at ``y``."""
    if isinstance(drawing, Lanes):
        _draw_lanes(canvas, drawing, x, y)
    else:
        _draw_chain(canvas, drawing, x, y, _common_width(drawing), None)


def _lane(drawing: Lanes, lane: Lane) -> Extent:
    width = _lane_width(drawing, lane)
    found = [_node(node, width) for where, node in drawing.steps if where == lane]
    return Extent(max((each.left for each in found), default=40), max((each.right for each in found), default=40), 0)


def _lane_width(drawing: Lanes, lane: Lane) -> float:
    return _common_width(tuple(node for where, node in drawing.steps if where == lane))


def _common_width(chain: Chain) -> float:
    """Return the width that all boxes of a chain get, those inside residuals too."""
    widths = [0.0]
    for node in chain:
        if isinstance(node, Box):
            widths.append(_box_width(node))
        elif isinstance(node, Residual):
            widths.append(_common_width(node.chain))
    return max(widths)


def _box_width(box: Box) -> float:
    texts = [text_width(_title(box), TITLE_SIZE, bold=True), text_width(box.note, NOTE_SIZE)]
    texts += [text_width(strip.text, NOTE_SIZE) for strip in box.strips]
    return max(texts) + 16


def _title(box: Box) -> str:
    return f"{box.times} × {box.title}" if box.times > 1 else box.title


def _box_height(box: Box) -> float:
    return _head_height(box) + STRIP_HEIGHT * len(box.strips)


def _head_height(box: Box) -> float:
    return 38 if box.note else 24


def _node(node: Node, width: float) -> Extent:
    if isinstance(node, Box):
        stacked = STACKED * 2 if node.times > 1 else 0
        return Extent(width / 2, width / 2 + stacked, _box_height(node) + stacked / 2)
    if isinstance(node, Residual):
        inner = _chain(node.chain, width)
        return Extent(inner.left + SIDE, inner.right, FORK + inner.height + GAP + 2 * SUM)
    whole = max(_branches_width(node), width if node.join else 0)
    tallest = max(_branch(chain).height for chain in node.chains)
    below = _box_height(node.join) if node.join else FORK + 2 * SUM
    return Extent(whole / 2, whole / 2, FORK / 2 + GAP + tallest + GAP + below)


def _chain(chain: Chain, width: float) -> Extent:
    extents = [_node(node, width) for node in chain]
    height = sum(each.height for each in extents) + GAP * (len(extents) - 1)
    return Extent(max(each.left for each in extents), max(each.right for each in extents), height)


def _branch(chain: Chain) -> Extent:
    return _chain(chain, _common_width(chain)) if chain else Extent(8, 8 + text_width(IDENTITY, NOTE_SIZE), 0)


def _branches_width(branches: Branches) -> float:
    inner = sum(_branch(chain).width for chain in branches.chains) + BRANCH_GAP * (len(branches.chains) - 1)
    return max(inner, _box_width(branches.join)) if branches.join else inner


def _draw_lanes(canvas: Canvas, lanes: Lanes, x: float, y: float) -> None:
    lines: dict[Lane, float] = {"map": x, "tokens": x + token_offset(lanes)}
    last: dict[Lane, float] = dict.fromkeys(lines, y)
    for lane, node in lanes.steps:
        width = _lane_width(lanes, lane)
        other = lines["tokens" if lane == "map" else "map"]
        if last[lane] < y:
            _lead(canvas, node, lines[lane], last[lane], y)
        _draw_node(canvas, node, lines[lane], y, width, other)
        last[lane] = y + _node(node, width).height
        y = last[lane] + GAP
    end = y - GAP
    for lane, at in lines.items():
        if last[lane] < end:
            canvas.line([(at, last[lane]), (at, end)])


def _draw_chain(canvas: Canvas, chain: Chain, x: float, y: float, width: float, other: float | None) -> None:
    for index, node in enumerate(chain):
        if index:
            _lead(canvas, node, x, y, y + GAP)
            y += GAP
        _draw_node(canvas, node, x, y, width, other)
        y += _node(node, width).height


def _lead(canvas: Canvas, node: Node, x: float, start: float, end: float) -> None:
    """Lead a line down to ``node``; with a head where it ends there, without one where it parts into several."""
    if isinstance(node, Box):
        canvas.arrow([(x, start), (x, end)])
    else:
        canvas.line([(x, start), (x, end)])


def _draw_node(canvas: Canvas, node: Node, x: float, y: float, width: float, other: float | None) -> None:
    if isinstance(node, Box):
        _draw_box(canvas, node, x, y, width, other)
    elif isinstance(node, Residual):
        _draw_residual(canvas, node, x, y, width, other)
    else:
        _draw_branches(canvas, node, x, y, width)


def _draw_box(canvas: Canvas, box: Box, x: float, y: float, width: float, other: float | None) -> None:
    left, height = x - width / 2, _box_height(box)
    if box.times > 1:
        for offset in (2 * STACKED, STACKED):
            canvas.rect(left + offset, y + offset / 2, width, height, box.style)
    for index in reversed(range(len(box.strips))):
        strip = box.strips[index]
        top = y + _head_height(box) + STRIP_HEIGHT * index
        # the last strip has round corners below; each reaches up behind its neighbour, which covers that end
        canvas.rect(left, top - 6, width, STRIP_HEIGHT + 6, strip.style)
    canvas.rect(left, y, width, _head_height(box), box.style)
    canvas.text(x, y + 16, _title(box), "b")
    canvas.text(x, y + 31, box.note)
    _draw_reading(canvas, box.reads, x, y + _head_height(box) / 2, width, other)
    for index, strip in enumerate(box.strips):
        top = y + _head_height(box) + STRIP_HEIGHT * index
        canvas.text(x, top + 12.5, strip.text)
        _draw_reading(canvas, strip.reads, x, top + STRIP_HEIGHT / 2, width, other)


def _draw_reading(canvas: Canvas, label: str, x: float, y: float, width: float, other: float | None) -> None:
    if not label or other is None:
        return
    edge = x + width / 2 if other > x else x - width / 2
    canvas.arrow([(other, y), (edge, y)], "line side")
    # beside the reader, where no lane's box can lie
    middle = edge + (LANE_GAP / 2 if other > x else -LANE_GAP / 2)
    canvas.text(middle, y - 4, label, "d")


def _draw_residual(canvas: Canvas, residual: Residual, x: float, y: float, width: float, other: float | None) -> None:
    inner = _chain(residual.chain, width)
    bottom = y + FORK + inner.height
    middle, side = bottom + GAP + SUM, x - inner.left - SIDE
    _lead(canvas, residual.chain[0], x, y, y + FORK)
    _draw_chain(canvas, residual.chain, x, y + FORK, width, other)
    canvas.arrow([(x, bottom), (x, bottom + GAP)])
    canvas.arrow([(x, y), (side, y), (side, middle), (x - SUM, middle)])
    canvas.plus(x, middle, SUM)


def _draw_branches(canvas: Canvas, branches: Branches, x: float, y: float, width: float) -> None:
    extents = [_branch(chain) for chain in branches.chains]
    total = sum(each.width for each in extents) + BRANCH_GAP * (len(extents) - 1)
    top, tallest = y + FORK / 2, max(each.height for each in extents)
    end = top + GAP + tallest + GAP
    left, centres = x - total / 2, list[float]()
    for extent in extents:
        centres.append(left + extent.left)
        left += extent.width + BRANCH_GAP
    canvas.line([(x, y), (x, top)])
    canvas.line([(centres[0], top), (centres[-1], top)])
    for centre, chain, extent in zip(centres, branches.chains, extents, strict=True):
        if chain:
            canvas.arrow([(centre, top), (centre, top + GAP)])
            _draw_chain(canvas, chain, centre, top + GAP, _common_width(chain), None)
            canvas.line([(centre, top + GAP + extent.height), (centre, end)])
        else:
            canvas.line([(centre, top), (centre, end)])
            canvas.text(centre + 5, top + GAP + tallest / 2, IDENTITY, "d start")
    if branches.join is not None:
        for centre in centres:
            canvas.arrow([(centre, end - GAP), (centre, end)])
        _draw_box(canvas, branches.join, x, end, max(total, width, _box_width(branches.join)), None)
        return
    canvas.line([(centres[0], end), (centres[-1], end)])
    canvas.arrow([(x, end), (x, end + FORK)])
    canvas.plus(x, end + FORK + SUM, SUM)
