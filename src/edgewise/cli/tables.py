"""Plain tables, and text that rich does not read as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

FOLDING = frozenset(
    {
        "what",
        "name",
        "file",
        "class",
        "found",
        "output",
        "part",
        "kind",
        "published weights",
        "precisions",
        "made here with",
        "families",
        "kernel",
    }
)
"""Columns whose text may go over several lines where the terminal is narrow; numbers stay whole."""


def new_table(*columns: str, title: str | None = None, dense: bool = False) -> Table:
    """Return a plain table; columns whose name ends in ``>`` are right-aligned, ``dense`` puts them close together."""
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        pad_edge=False,
        show_edge=not dense,
        padding=(0, 1, 0, 0) if dense else (0, 1),
    )
    for column in columns:
        table.add_column(
            column.rstrip(">"),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",
            no_wrap=column not in FOLDING,
        )
    return table


def plain(text: object) -> str:
    """Return ``text`` so that rich shows its square brackets instead of obeying them."""
    from rich.markup import escape

    return escape(str(text))
