"""How wide a text will be, without a font at hand: widths of DejaVu Sans, the widest of the usual sans-serif fonts."""

from __future__ import annotations

from typing import Final

_WIDTHS: Final = {
    **dict.fromkeys("ijlIJ'|", 0.34),
    **dict.fromkeys("f.,:;!()[]/· -", 0.42),
    **dict.fromkeys("rt", 0.45),
    **dict.fromkeys("ABCKPRVXY", 0.71),
    **dict.fromkeys("wDGHNOQU×→+=", 0.84),
    **dict.fromkeys("mMW%@", 1.0),
}
_OTHER: Final = 0.655


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Return an upper estimate of the width of ``text`` in pixels at a font size of ``size``."""
    width = sum(_WIDTHS.get(character, _OTHER) for character in text) * size
    return width * 1.1 if bold else width
