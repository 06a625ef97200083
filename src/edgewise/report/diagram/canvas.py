"""Writing SVG: lines, arrows, boxes, texts, and one style sheet for light and dark pages."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

TITLE_SIZE: Final = 12
NOTE_SIZE: Final = 11
HEAD: Final = 5
"""Half the width of an arrow's head."""

# The card has its own ground, so that a drawing is readable also where a page's theme and the browser's differ.
CSS: Final = """
text{font-family:sans-serif;font-size:11px;fill:#1f2328;text-anchor:middle}
.b{font-size:12px;font-weight:bold}.d{fill:#57606a}.start{text-anchor:start}
.card{fill:#fff;stroke:#d0d7de}.line{fill:none;stroke:#57606a;stroke-width:1.3}.side{stroke-dasharray:4 3}
.head{fill:#57606a}rect{stroke-width:1.2}
.depthwise{fill:#dbeafe;stroke:#3b82f6}.pointwise{fill:#d9f5e2;stroke:#22a35a}.conv{fill:#ece7fe;stroke:#8b5cf6}
.norm{fill:#f0f2f5;stroke:#aab2bd}.act{fill:#fff1c9;stroke:#d0a01a}.gate{fill:#ffe3e6;stroke:#df5069}
.attention{fill:#d8f3f1;stroke:#149587}.tokens{fill:#fde9d3;stroke:#dd7a1c}.plain{fill:#f7f8fa;stroke:#aab2bd}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.d{fill:#9198a1}.card{fill:#0d1117;stroke:#30363d}.line{stroke:#8b949e}.head{fill:#8b949e}
.depthwise{fill:#12315c;stroke:#4c97ef}.pointwise{fill:#103a22;stroke:#3fb05c}.conv{fill:#30225a;stroke:#a28af8}
.norm{fill:#22272e;stroke:#5b6570}.act{fill:#423409;stroke:#c2921c}.gate{fill:#4a1824;stroke:#ea6b80}
.attention{fill:#0c3a36;stroke:#2bb5a5}.tokens{fill:#4b2a0c;stroke:#dd8530}.plain{fill:#161b22;stroke:#5b6570}}
"""


class Canvas:
    """SVG elements in the order in which they are drawn."""

    def __init__(self) -> None:
        self._parts: list[Markup] = []

    def rect(self, x: float, y: float, width: float, height: float, style: str, radius: float = 5) -> None:
        """Draw a rounded rectangle."""
        self._add(
            '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{:g}"/>',
            *(style, x, y, width, height, radius),
        )

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        """Write ``text``, if there is any, with its baseline at ``y``, centred on ``x`` unless ``style`` says otherwise."""
        if not text:
            return
        if style:
            self._add('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>', style, x, y, text)
        else:
            self._add('<text x="{:.1f}" y="{:.1f}">{}</text>', x, y, text)

    def line(self, points: list[tuple[float, float]], style: str = "line") -> None:
        """Draw straight lines from point to point."""
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._add('<path class="{}" d="{}"/>', style, path)

    def arrow(self, points: list[tuple[float, float]], style: str = "line") -> None:
        """Draw lines from point to point with a head at the last one."""
        (x0, y0), (x1, y1) = points[-2], points[-1]
        length = max(abs(x1 - x0), abs(y1 - y0)) or 1
        dx, dy = (x1 - x0) / length, (y1 - y0) / length
        back = (x1 - dx * HEAD * 1.4, y1 - dy * HEAD * 1.4)
        self.line([*points[:-1], back], style)
        wings = [
            (back[0] - dy * HEAD * 0.8, back[1] + dx * HEAD * 0.8),
            (back[0] + dy * HEAD * 0.8, back[1] - dx * HEAD * 0.8),
        ]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in [(x1, y1), *wings]) + "Z"
        self._add('<path class="head" d="{}"/>', path)

    def plus(self, x: float, y: float, radius: float) -> None:
        """Draw the sign of a sum, centred on (x, y)."""
        self._add('<circle class="plain line" cx="{:.1f}" cy="{:.1f}" r="{:g}"/>', x, y, radius)
        arm = radius * 0.55
        self.line([(x - arm, y), (x + arm, y)])
        self.line([(x, y - arm), (x, y + arm)])

    def svg(self, width: float, height: float, title: str) -> str:
        """Return the whole drawing as the text of an SVG file."""
        head = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" '
            'role="img">\n<title>{2}</title>\n<style>{3}</style>\n'
            '<rect class="card" x="0.5" y="0.5" width="{4:.0f}" height="{5:.0f}" rx="8"/>\n'
        ).format(width, height, title, Markup(CSS), width - 1, height - 1)  # noqa: S704 - our own text
        return str(head + Markup("\n").join(self._parts) + Markup("\n</svg>\n"))

    def _add(self, template: str, *values: object) -> None:
        self._parts.append(Markup(template).format(*values))  # noqa: S704 - templates are ours, values are escaped
