"""Drawings are whole SVG files in which nothing lies on, or reaches out of, what it should not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from PIL import ImageFont

from edgewise.models.catalogue import CATALOGUE
from edgewise.models.families.mobilenetv4 import CONV_SMALL
from edgewise.report.diagram.network import WIDTH, draw_network
from edgewise.report.diagram.panels import MAX_WIDTH, Panel, draw_panels
from edgewise.report.diagram.pieces import Place
from edgewise.report.diagram.table import parts_of
from edgewise.report.diagram.text_width import text_width
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row
from edgewise.spec.rows import ConvSpec, MobileOneSpec, RepVGGSpec, UIBSpec
from edgewise.spec.walk import walk

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = (
    *("mobilenetv1_100", "mobilenetv2_100", "mobilenetv3_small_100", "mobilenetv4_hybrid_medium"),
    *("mobileformer_26m", "mobileformer_v4_500m", "repvit_m1_0", "repvit_m1", "mobileone_s4", "repvgg_b1g2"),
)
"""Between them they have every kind of row that the catalogue uses."""


class Rect(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    style: str

    def overlaps(self, other: Rect) -> bool:
        return min(self.right, other.right) > max(self.left, other.left) and min(self.bottom, other.bottom) > max(
            self.top, other.top
        )


def rects(svg: str) -> list[Rect]:
    found = []
    for each in ET.fromstring(svg).iter(f"{SVG}rect"):
        x, y, width, height = (float(each.get(name, "nan")) for name in ("x", "y", "width", "height"))
        found.append(Rect(x, y, x + width, y + height, each.get("class", "")))
    return found


def texts(svg: str) -> Iterator[Rect]:
    """Where the texts lie at their widest, on their line of 12 pixels."""
    for each in ET.fromstring(svg).iter(f"{SVG}text"):
        style = (each.get("class") or "").split()
        width = text_width(each.text or "", 12 if "b" in style else 11, bold="b" in style)
        x, y = float(each.get("x", "nan")), float(each.get("y", "nan"))
        left = x if "start" in style else x - width / 2
        yield Rect(left, y - 9, left + width, y + 3, each.text or "")


@pytest.mark.parametrize("style", ["regular", "bold"])
def test_texts_are_not_estimated_too_narrow(style: str) -> None:
    bold = style == "bold"
    file = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
    font = ImageFont.truetype(file, 100)
    written = {
        text.style
        for name in DRAWN
        for svg in (blocks_of(name), draw_network(CATALOGUE[name].spec()))
        for text in texts(svg)
    }
    assert len(written) > 200
    narrow = {text: font.getlength(text) / text_width(text, 100, bold=bold) for text in written}
    assert max(narrow.values()) <= 1.0, max(narrow, key=narrow.__getitem__)


def panel(row: Row, in_chs: int, spec: ModelSpec) -> Panel:
    tokens = "6 × 192" if spec.tokens else ""
    drawing = parts_of(row, Place(spec=spec, in_chs=in_chs))
    return Panel(title=row.kind, note="a note", drawing=drawing, in_map="in", out_map="out", tokens=tokens)  # type: ignore[attr-defined]


def blocks_of(name: str) -> str:
    spec = CATALOGUE[name].spec()
    rows = {step.row: panel(step.row, step.in_chs, spec) for step in walk(spec)}
    return draw_panels(name, [[each] for each in rows.values()])


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(
    "draw", [blocks_of, lambda name: draw_network(CATALOGUE[name].spec())], ids=["blocks", "network"]
)
def test_everything_lies_on_the_card(name: str, draw) -> None:
    svg = draw(name)
    card, *boxes = rects(svg)
    assert card.style == "card"
    assert card.right <= max(WIDTH, MAX_WIDTH)
    for each in (*boxes, *texts(svg)):
        assert card.left <= each.left < each.right <= card.right, each
        assert card.top <= each.top < each.bottom <= card.bottom, each


@pytest.mark.parametrize("name", DRAWN)
@pytest.mark.parametrize(
    "draw", [blocks_of, lambda name: draw_network(CATALOGUE[name].spec())], ids=["blocks", "network"]
)
def test_no_text_is_cut_or_covered(name: str, draw) -> None:
    svg = draw(name)
    _, *boxes = rects(svg)
    written = list(texts(svg))
    for index, text in enumerate(written):
        touched = [box for box in boxes if box.overlaps(text)]
        assert all(box.left <= text.left and text.right <= box.right for box in touched), text
        assert not any(text.overlaps(other) for other in written[:index]), text


@pytest.mark.parametrize("name", DRAWN)
def test_chips_stand_apart(name: str) -> None:
    _, *chips = rects(draw_network(CATALOGUE[name].spec()))
    assert not [pair for index, one in enumerate(chips) for pair in chips[:index] if one.overlaps(pair)]


def titles(svg: str) -> list[str]:
    return re.findall(r'class="b"[^>]*>([^<]*)<', svg)


def network(*rows: Row) -> str:
    stem = MobileOneSpec(out_chs=16, stride=2) if isinstance(rows[0], MobileOneSpec) else CONV_SMALL.stem
    return draw_network(CONV_SMALL.model_copy(update={"stem": stem, "stages": (rows,)}))


def test_equal_rows_share_a_chip() -> None:
    one, other = UIBSpec(out_chs=32), UIBSpec(out_chs=32, start_kernel=3, mid_kernel=None)
    assert titles(network(one, one, one, other))[1:3] == ["IB × 3", "ConvNext"]
    assert titles(network(one))[1] == "IB"


def test_rows_that_take_turns_are_counted_behind_the_first_block() -> None:
    first, wide = MobileOneSpec(out_chs=16, depthwise=True, stride=2), MobileOneSpec(out_chs=32, kernel=1)
    depthwise = MobileOneSpec(out_chs=32, depthwise=True)
    drawn = titles(network(first, wide, depthwise, wide, depthwise, wide, depthwise, wide))
    assert drawn[1:6] == ["depthwise", "1×1", "depthwise", "1×1", "× 3"]


def test_the_key_explains_only_what_is_drawn() -> None:
    key = network(ConvSpec(out_chs=32), UIBSpec(out_chs=32)).rpartition("</text>")[0].rpartition(">")[2]
    assert key == "→ width, k kernels, e expansion (ratio or width), s stride; × n = n times"


def test_panels_of_a_group_stay_on_one_line() -> None:
    row = RepVGGSpec(out_chs=48)
    spec = CATALOGUE["repvgg_a0"].spec()
    pair = [panel(row, 48, spec)] * 2
    lines = [
        float(y) for y in re.findall(r'class="b" x="[\d.]+" y="([\d.]+)">repvgg<', draw_panels("", [pair, pair, pair]))
    ]
    assert lines == sorted(lines)
    assert [lines.count(y) for y in dict.fromkeys(lines)] == [2, 2, 2]


def test_texts_are_escaped() -> None:
    drawn = draw_panels("a < b & c", [[panel(UIBSpec(out_chs=32), 32, CONV_SMALL)]])
    assert ET.fromstring(drawn).findtext(f"{SVG}title") == "a < b & c"
