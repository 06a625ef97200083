"""The page of a Pareto chart: one HTML file that opens anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from edgewise.records.files import write_atomically
from edgewise.report.figure_files import as_svg
from edgewise.report.html import page_css, page_environment
from edgewise.report.pareto import ParetoPoint

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class ParetoPage:
    """What the page shows besides the chart."""

    title: str
    sentence: str
    points: Sequence[ParetoPoint]
    best: Sequence[ParetoPoint]

    @property
    def shows_limit(self) -> bool:
        """Return whether the limit is known of any point."""
        return any(point.limit is not None for point in self.points)


def write_page(page: ParetoPage, figure: Figure, path: Path) -> None:
    """Write the page to ``path``, whole or not at all.

    Raises:
        OSError: ``path`` cannot be written.
    """
    template = page_environment().get_template("pareto.html.j2")
    text = template.render(page=page, css=Markup(page_css()), chart=Markup(as_svg(figure)))  # noqa: S704 (our own)
    write_atomically(path, text.encode("utf-8", "backslashreplace"))
