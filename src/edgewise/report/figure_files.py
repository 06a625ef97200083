"""A finished figure as PNG and as SVG for a page."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise.records.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_png(figure: Figure, path: Path) -> None:
    """Write ``figure`` to ``path``, whole or not at all.

    Raises:
        OSError: ``path`` cannot be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomically(path, buffer.getvalue())


def as_svg(figure: Figure) -> str:
    """Return ``figure`` as an SVG element for an HTML page: text stays text, nothing points outside."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edgewise"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    return text[text.index("<svg") :]
