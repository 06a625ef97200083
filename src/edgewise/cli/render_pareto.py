"""The files that no other one beats, on the terminal or as JSON."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.report.formatting import format_limit, format_ms, format_percent

if TYPE_CHECKING:
    from edgewise.pipeline.pareto_job import Pareto
    from edgewise.report.pareto import ParetoPoint


def render_pareto(found: Pareto, *, as_json: bool) -> None:
    """Show the front, the sentence, and where chart, page and table are."""
    if as_json:
        print_json(
            {
                "sentence": found.sentence,
                "front": [_as_dict(each) for each in found.best],
                "points": [_as_dict(each) for each in found.points],
                "folder": str(found.folder),
            }
        )
        return
    varied = {
        "threads>": [str(each.threads) for each in found.best],
        "accuracy": [each.source for each in found.best],
    }
    varied = {name: values for name, values in varied.items() if len(set(values)) > 1}
    shows_limit = any(each.limit for each in found.best)
    table = new_table("model", "in", *varied, "latency>", *["of limit>"] * shows_limit, "top-1>")
    for number, each in enumerate(found.best):
        table.add_row(
            plain(each.name),
            f"{each.where} {each.precision}",
            *(values[number] for values in varied.values()),
            format_ms(each.latency_ms),
            *[format_limit(each.limit)] * shows_limit,
            format_percent(each.top1),
        )
    out = console()
    if found.best:
        out.print(table)
    out.print(f"[bold]{plain(found.sentence)}[/]", soft_wrap=True)
    doubtful = sum(bool(each.doubt) for each in found.points)
    if doubtful:
        notes().print(f"{doubtful} files are drawn hollow and never recommended; pareto.html says why", style="dim")
    notes().print(f"pareto.png, pareto.html, pareto.csv in {found.folder}", style="dim", markup=False, soft_wrap=True)


def _as_dict(point: ParetoPoint) -> dict[str, Any]:
    limit = point.limit.model_dump(mode="json") if point.limit is not None else None
    return asdict(replace(point, limit=None)) | {"limit": limit}
