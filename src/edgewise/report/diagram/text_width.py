"""How wide a text will be, without a font at hand: widths of DejaVu Sans, the widest of the usual sans-serif fonts."""

from __future__ import annotations

from typing import Final

_WIDTHS: Final = {
    **dict.fromkeys("ijl'|", 0.29),
    **dict.fromkeys("ft.,:;!()[]/· ", 0.39),
    **dict.fromkeys("rIJ-", 0.42),
    **dict.fromkeys("mMW%@", 0.95),
    **dict.fromkeys("wGOQDHNUV×→+=√√", 0.83),
}
_OTHER: Final = 0.64


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return an upper estimate of the width of ``text`` in pixels at a font size of ``size``."""
    width = sum(_WIDTHS.get(character, _OTHER) for character in text) * size
    return width * 1.1 if bold else width
