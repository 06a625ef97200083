"""A model under a device's roof, as tables on the terminal or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.report.formatting import format_bytes, format_count, format_ms, format_percent, format_significant

if TYPE_CHECKING:
    from edgewise.pipeline.profile_job import Profiled
    from edgewise.records.roofline import KernelTime, Roofline


def render_profile(profiled: Profiled, *, layers: bool, as_json: bool) -> None:
    """Show the time of each sort of kernel, or of every kernel, and what bounds it."""
    found = profiled.found
    if as_json:
        print_json(
            found.model_dump(mode="json")
            | {
                "total_ms": found.total_ms,
                "ridge_point": found.ridge_point,
                "share_of_roof": found.share_of_roof,
                "unknown": list(profiled.unknown),
                "folder": str(profiled.folder),
            }
        )
        return
    out = console()
    out.print(
        f"[bold]{plain(found.model)}[/] {plain(found.precision)} on [bold]{plain(found.device)}[/]: "
        f"{format_count(found.macs_per_s)}MAC/s, {format_bytes(found.bytes_per_s)}/s ({found.basis}), "
        f"ridge point {format_significant(found.ridge_point)} MACs per byte",
        soft_wrap=True,
    )
    out.print(_layers(found) if layers else _kinds(found))
    out.print(_sum(found), soft_wrap=True)
    if profiled.unknown:
        notes().print(
            f"not counted, so the time is too low: {', '.join(profiled.unknown)}", style="yellow", markup=False
        )
    notes().print(
        f"roofline.png, kernels.csv, roofline.json in {profiled.folder}", style="dim", markup=False, soft_wrap=True
    )


def _sum(found: Roofline) -> str:
    text = f"in all {format_ms(found.total_ms)}"
    if found.constant_ms:
        text += f", {format_ms(found.constant_ms)} of it once a call"
    if found.share_of_roof is None:
        return text + (
            ": what published latencies lead to" if found.basis == "fitted" else ": the least that these figures allow"
        )
    if found.basis == "fitted":
        return (
            text + f"; measured {format_ms(found.measured_ms)}, so this is {100 * (found.share_of_roof - 1):+.1f} % off"
        )
    return text + f"; measured {format_ms(found.measured_ms)}, {format_percent(found.share_of_roof)} of the roof"


def _kinds(found: Roofline) -> object:
    table = new_table("kind", "n>", "MACs>", "moved>", "MAC/B>", "time>", "share>", "bound by", dense=True)
    by_kind: dict[str, list[KernelTime]] = {}
    for kernel in found.kernels:
        by_kind.setdefault(kernel.kind, []).append(kernel)
    for kind, kernels in sorted(by_kind.items(), key=lambda item: -sum(each.time_ms for each in item[1])):
        macs, moved = sum(each.macs for each in kernels), sum(each.bytes_moved for each in kernels)
        table.add_row(
            kind,
            str(len(kernels)),
            format_count(macs),
            format_bytes(moved),
            format_significant(macs / moved if moved else 0.0),
            format_ms(sum(each.time_ms for each in kernels)),
            format_percent(sum(each.share for each in kernels)),
            _bounds(kernels),
        )
    return table


def _bounds(kernels: Sequence[KernelTime]) -> str:
    """Return what bounds most of the kernels' time, and how much of it."""
    total = sum(each.time_ms for each in kernels) or 1.0
    shares = {
        bound: sum(each.time_ms for each in kernels if each.bound == bound) / total
        for bound in ("compute", "memory", "overhead")
    }
    most = max(shares, key=lambda bound: shares[bound])
    return most if shares[most] > 0.995 else f"{most} {format_percent(shares[most], 0)}"


def _layers(found: Roofline) -> object:
    table = new_table("module", "kind", "output", "MAC/B>", "time>", "share>", "bound by", dense=True)
    for each in found.kernels:
        table.add_row(
            plain(each.module),
            each.kind,
            "x".join(map(str, each.out_shape[1:])),
            format_significant(each.intensity),
            format_ms(each.time_ms),
            format_percent(each.share),
            each.bound,
        )
    return table
