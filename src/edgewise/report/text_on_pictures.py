"""Text that matplotlib and Pillow can draw: one line, no mathematics, no glyph that the font lacks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from edgewise.report.formatting import shorten

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

MISSING_GLYPH = "□"


def drawable(text: str, limit: int = 40) -> str:
    """Return ``text`` cut to ``limit`` characters, control characters escaped, unknown glyphs as boxes."""
    known = _known_characters()
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shorten("".join(c if ord(c) in known else MISSING_GLYPH for c in line), limit)


def plot_label(text: str, limit: int = 24) -> str:
    """Return ``text`` for matplotlib, which would read what stands between two dollar signs as mathematics."""
    return drawable(text, limit).replace("$", r"\$")


@lru_cache(maxsize=16)
def load_font(size: int) -> FreeTypeFont:
    """Return matplotlib's bundled DejaVu Sans at ``size`` pixels."""
    from PIL import ImageFont

    return ImageFont.truetype(_font_path(), size)


def fit_text(text: str, font: FreeTypeFont, width: float) -> str:
    """Return ``text`` drawable and cut to at most ``width`` pixels in ``font``."""
    line = drawable(text, 200)
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "…") > width:
        line = line[:-1]
    return line + "…"


def _font_path() -> str:
    from matplotlib import get_data_path

    return f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf"


@lru_cache(maxsize=1)
def _known_characters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_font_path()).get_charmap())
