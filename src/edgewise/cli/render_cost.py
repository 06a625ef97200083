"""Costs as tables on the terminal, or as JSON: what `info` says of them, and `compare-cost`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, print_json
from edgewise.report.formatting import MISSING, format_bytes, format_count, format_percent

if TYPE_CHECKING:
    from rich.console import Console

    from edgewise.pipeline.describe import Description
    from edgewise.records.cost import CostReport, PartCost

TOTALS = (
    "params",
    "macs",
    "activations",
    "weight_bytes",
    "read_bytes",
    "written_bytes",
    "accesses",
    "peak_activation_bytes",
)
ROWS = {"params": "parameters", "macs": "MACs", "accesses": "accesses", "peak_activation_bytes": "peak memory"}
"""What the totals are called in tables."""


def totals_of(report: CostReport) -> dict[str, Any]:
    """Return the sums of ``report``, for JSON."""
    return {name: getattr(report, name) for name in TOTALS} | {"num_kernels": len(report.kernels)}


def say_totals(out: Console, found: Description) -> None:
    """Show what both forms of a model hold and compute, and what the deployed one moves."""
    report, deployed = found.report, found.deployed
    totals = new_table(f"at {found.img_size} px, batch {report.input_shape[0]}", "parameters>", "MACs>", "activations>")
    totals.add_row("training form", f"{report.params:,}", f"{report.macs:,}", f"{report.activations:,}")
    totals.add_row("deployed form", f"{deployed.params:,}", f"{deployed.macs:,}", f"{deployed.activations:,}")
    out.print(totals)
    moved = new_table(
        f"deployed, {deployed.dtype}, {deployed.fusion}", "kernels>", "weights>", "read>", "written>", "peak>"
    )
    moved.add_row(
        f"{format_count(deployed.accesses)} accesses",
        str(len(deployed.kernels)),
        format_bytes(deployed.weight_bytes),
        format_bytes(deployed.read_bytes),
        format_bytes(deployed.written_bytes),
        format_bytes(deployed.peak_activation_bytes),
    )
    out.print(moved)
    if not report.complete:
        out.print(f"[yellow]not counted, for want of a rule:[/] {', '.join(report.unknown)}", soft_wrap=True)


def say_parts(out: Console, parts: Sequence[PartCost], *, with_kind: bool) -> None:
    """Show one row a stage or block, with the class of its module where that says something."""
    kind = ("kind",) if with_kind else ()
    table = new_table(
        "part", *kind, "output", "params>", "MACs>", "weights>", "read>", "written>", "access>", dense=True
    )
    for part in parts:
        table.add_row(
            part.path,
            *((part.kind,) if with_kind else ()),
            _shape(part.out_shape),
            format_count(part.params),
            format_count(part.macs),
            format_bytes(part.weight_bytes),
            format_bytes(part.read_bytes),
            format_bytes(part.written_bytes),
            format_count(part.accesses),
        )
    out.print(table)


def say_kernels(out: Console, report: CostReport) -> None:
    """Show one row a kernel."""
    table = new_table("part", "kind", "output", "MACs>", "weights>", "read>", "written>", "access>", dense=True)
    for kernel in report.kernels:
        table.add_row(
            kernel.module or "(model)",
            kernel.kind,
            _shape(kernel.out_shape),
            format_count(kernel.macs) if kernel.macs else "",
            format_bytes(kernel.weight_bytes) if kernel.weight_bytes else "",
            format_bytes(kernel.read_bytes),
            format_bytes(kernel.written_bytes),
            format_count(kernel.accesses),
        )
    out.print(table)


def render_cost_comparison(found: Sequence[Description], *, as_json: bool) -> None:
    """Show the deployed forms of two models side by side."""
    reports = [each.deployed for each in found]
    names = [each.source.given for each in found]
    if as_json:
        print_json(
            {
                "models": [
                    {"name": name, "input_shape": report.input_shape, "dtype": report.dtype, "fusion": report.fusion}
                    | totals_of(report)
                    | {"unknown": report.unknown, "kinds": [kind.model_dump() for kind in report.by_kind()]}
                    for name, report in zip(names, reports, strict=True)
                ],
                "ratios": {name: _ratio(*(getattr(each, name) for each in reports)) for name in TOTALS},
            }
        )
        return
    out = console()
    first, second = reports
    shapes = ["x".join(map(str, report.input_shape)) for report in reports]
    out.print(f"A  [bold]{plain(names[0])}[/]  {shapes[0]}", soft_wrap=True)
    out.print(f"B  [bold]{plain(names[1])}[/]  {shapes[1]}", soft_wrap=True)
    table = new_table(f"deployed, {first.dtype}, {first.fusion}", "A>", "B>", "B / A>")
    for name in TOTALS:
        a, b = getattr(first, name), getattr(second, name)
        ratio = _ratio(a, b)
        form = format_bytes if name.endswith("bytes") else format_count
        label = ROWS.get(name, name.replace("_bytes", "").replace("weight", "weights"))
        table.add_row(label, form(a), form(b), MISSING if ratio is None else f"{ratio:.2f}")
    table.add_row("kernels", str(len(first.kernels)), str(len(second.kernels)), "")
    out.print(table)
    _say_kinds(out, first, second)
    for name, report in zip(names, reports, strict=True):
        if not report.complete:
            out.print(
                f"[yellow]not counted of {plain(name)}, for want of a rule:[/] {', '.join(report.unknown)}",
                soft_wrap=True,
            )


def _say_kinds(out: Console, first: CostReport, second: CostReport) -> None:
    kinds = [{row.kind: row for row in report.by_kind()} for report in (first, second)]
    table = new_table("kind", "kernels A>", "B>", "MACs A>", "B>", "bytes A>", "B>", dense=True)
    for kind in dict.fromkeys((*kinds[0], *kinds[1])):
        a, b = (rows.get(kind) for rows in kinds)
        table.add_row(
            kind,
            *(str(each.num_kernels) if each else "" for each in (a, b)),
            *(
                format_percent(each.macs / max(1, report.macs)) if each and each.macs else ""
                for each, report in ((a, first), (b, second))
            ),
            *(format_bytes(each.weight_bytes + each.activation_bytes) if each else "" for each in (a, b)),
        )
    out.print(table)


def _ratio(first: int, second: int) -> float | None:
    return round(second / first, 4) if first else None


def _shape(shape: tuple[int, ...]) -> str:
    """Return the sides behind the batch, as in ``96x28x28``."""
    return "x".join(map(str, shape[1:] if len(shape) > 1 else shape))
