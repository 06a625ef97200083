"""A whole network in one drawing: a line for each stage, a chip for each run of equal rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from edgewise.report.diagram.canvas import NOTE_SIZE, TITLE_SIZE, Canvas
from edgewise.report.diagram.former_parts import to_tokens
from edgewise.report.diagram.forms import details_of, form_of
from edgewise.report.diagram.head_parts import head_parts
from edgewise.report.diagram.parts import Box, Branches, Chain, Lanes, Layer, Style, layers_of
from edgewise.report.diagram.pieces import Place
from edgewise.report.diagram.table import parts_of
from edgewise.report.diagram.text_width import text_width
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row
from edgewise.spec.walk import walk

WIDTH: Final = 900
MARGIN: Final = 18
LABEL: Final = 92
"""Width of the column with the stages' names."""
CHIP_HEIGHT: Final = 38
CHIP_GAP: Final = 14
LINE_GAP: Final = 16
KEYS: Final = {
    "k": "kernels",
    "e": "expansion (ratio or width)",
    "h": "heads × width of a key",
    "g": "groups",
    "b": "branches",
    "s": "stride",
}
"""What the letters in a row's details stand for."""


@dataclass(frozen=True, slots=True)
class Chip:
    """Some equal rows."""

    title: str
    note: str
    style: Style

    @property
    def width(self) -> float:
        """Return the width that its texts need."""
        return max(text_width(self.title, TITLE_SIZE, bold=True), text_width(self.note, NOTE_SIZE)) + 14


@dataclass(frozen=True, slots=True)
class Line:
    """One stage, the stem or the head."""

    name: str
    note: str
    chips: tuple[Chip, ...]


def draw_network(spec: ModelSpec) -> str:
    """Return an SVG file with stem, stages and head of ``spec`` at its own image size."""
    canvas, lines, y = Canvas(), list(_lines(spec)), float(MARGIN)
    for line in lines:
        canvas.text(MARGIN, y + 16, line.name, "b start")
        canvas.text(MARGIN, y + 31, line.note, "d start")
        y = _draw_chips(canvas, line.chips, y) + LINE_GAP
    canvas.text(MARGIN, y + 8, _key(lines), "d start")
    return canvas.svg(WIDTH, y + 8 + MARGIN, f"{spec.name}, stage by stage")


def network_layers(spec: ModelSpec, *, fused: bool = False) -> Iterator[Layer]:
    """Yield every layer of the drawings of a network's stem, rows and head."""
    for drawing in _drawings(spec, fused=fused):
        yield from layers_of(drawing)


def stem_place(spec: ModelSpec, *, fused: bool = False) -> Place:
    """Return where the stem stands; `ModelSpec.downsample` does not reach it."""
    return Place(spec=spec.model_copy(update={"downsample": "stride"}), in_chs=spec.in_chans, fused=fused)


def _drawings(spec: ModelSpec, *, fused: bool) -> Iterator[Chain | Lanes]:
    yield parts_of(spec.stem, stem_place(spec, fused=fused))
    steps = list(walk(spec))
    for step in steps:
        yield parts_of(step.row, Place(spec=spec, in_chs=step.in_chs, fused=fused))
    last_chs = steps[-1].out_chs
    if spec.tokens is not None:
        yield (to_tokens(spec.tokens, last_chs),)
    yield head_parts(Place(spec=spec, in_chs=last_chs, fused=fused))


def _lines(spec: ModelSpec) -> Iterator[Line]:
    stem = form_of(spec.stem)
    steps = list(walk(spec))
    side = -(-spec.img_size // spec.stem.stride)
    yield Line("stem", _map_size(side), (Chip(stem.short, details_of(spec.stem), stem.style),))
    for stage, members in groupby(steps, key=lambda step: step.stage):
        rows = list(members)
        chips = _chips([step.row for step in rows])
        side = -(-spec.img_size // rows[-1].reduction)
        yield Line(f"stage {stage}", _map_size(side), tuple(chips))
    head = head_parts(Place(spec=spec, in_chs=steps[-1].out_chs))
    bridge = (to_tokens(spec.tokens, steps[-1].out_chs),) if spec.tokens is not None else ()
    yield Line("head", "", tuple(_head_chips((*bridge, *head))))


def _key(lines: Sequence[Line]) -> str:
    """Explain the letters that the drawing uses; the head's chips have none."""
    notes = [chip.note for line in lines[:-1] for chip in line.chips]
    used = {word[:1] for note in notes for word in note.split(", ")}
    letters = [f"{letter} {meaning}" for letter, meaning in KEYS.items() if letter in used]
    return ", ".join(["→ width", *letters]) + "; × n = n times"


def _map_size(side: int) -> str:
    return f"{side} × {side}"


def _chips(rows: Sequence[Row]) -> Iterator[Chip]:
    """Yield a chip for each run of equal rows; two that take turns are followed by how often they do."""
    done = 0
    while done < len(rows):
        pairs = _repeats(rows[done:], 2)
        # of two ways to pair them off the later one: a stage's first block differs from its others
        if pairs > max(1, _repeats(rows[done + 1 :], 2)) and rows[done] != rows[done + 1]:
            yield from (_chip(row, 1) for row in rows[done : done + 2])
            yield Chip(f"× {pairs}", "these two", "plain")
            done += 2 * pairs
        else:
            count = _repeats(rows[done:], 1)
            yield _chip(rows[done], count)
            done += count


def _repeats(rows: Sequence[Row], period: int) -> int:
    """Return how often the first ``period`` rows stand one after another at the start of ``rows``."""
    count = 1
    while len(rows) > count * period and rows[count * period : (count + 1) * period] == rows[:period]:
        count += 1
    return count


def _chip(row: Row, count: int) -> Chip:
    form = form_of(row)
    return Chip(f"{form.short} × {count}" if count > 1 else form.short, details_of(row), form.style)


def _head_chips(chain: Chain) -> Iterator[Chip]:
    for node in chain:
        if isinstance(node, Branches):
            words = [f"{box.title} {box.note}".strip() for box in node.chains[0] if isinstance(box, Box)]
            yield Chip(f"mean of {len(node.chains)} classifiers", ", ".join(words), "pointwise")
        elif isinstance(node, Box):
            strips = [] if node.style == "tokens" else [strip.text for strip in node.strips]
            yield Chip(node.title, ", ".join(filter(None, (node.note, *strips))), node.style)


def _draw_chips(canvas: Canvas, chips: tuple[Chip, ...], y: float) -> float:
    """Draw chips in as many lines as they need, an arrow from each to the next; returns where the last line ends."""
    left = x = float(MARGIN + LABEL)
    for index, chip in enumerate(chips):
        if index and x + CHIP_GAP + chip.width > WIDTH - MARGIN:
            x, y = left, y + CHIP_HEIGHT + 8
        elif index:
            canvas.line([(x, y + CHIP_HEIGHT / 2), (x + CHIP_GAP, y + CHIP_HEIGHT / 2)])
            x += CHIP_GAP
        canvas.rect(x, y, chip.width, CHIP_HEIGHT, chip.style)
        middle = x + chip.width / 2
        canvas.text(middle, y + (16 if chip.note else 23), chip.title, "b")
        canvas.text(middle, y + 31, chip.note)
        x += chip.width
    return y + CHIP_HEIGHT
