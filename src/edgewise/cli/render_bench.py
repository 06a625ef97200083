"""Measured latencies as tables on the terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.cost.device_files import this_cpu
from edgewise.errors import InputError
from edgewise.report.formatting import format_bytes, format_limit, format_ms, format_percent, format_threads
from edgewise.report.speed import common_reference_ms, speed_varied

if TYPE_CHECKING:
    from edgewise.bench.compare import Comparison
    from edgewise.records.bench import Accuracy, BenchCase
    from edgewise.records.limit import Limit
    from edgewise.records.measurement import Measurement


def render_bench(cases: Sequence[BenchCase], folder: Path, *, as_json: bool) -> None:
    """Show a bench's cases, and where their records are."""
    measured = [each for each in cases if each.measurement is not None]
    if as_json:
        print_json([each.model_dump(mode="json") for each in cases])
        return
    if measured:
        _render_table(
            [each.measurement for each in measured if each.measurement],
            [each.accuracy for each in measured],
            [each.limit for each in measured],
        )
        _explain_limit([each.limit for each in measured])
    left_out = len(cases) - len(measured)
    if left_out:
        notes().print(
            f"{left_out} of {len(cases)} cases left out; the reasons stand above and in the records", style="dim"
        )
    notes().print(f"records: {folder}", style="dim", markup=False, soft_wrap=True)


def _explain_limit(limits: Sequence[Limit | None]) -> None:
    """Say what the column of the limit means, or how to get it."""
    shown = any(limits)
    texts = ["of limit: the least time that this machine needs, as a share of the latency, and what bounds it"] * shown
    try:
        disturbed = "; ".join(this_cpu().remarks)
    except InputError as error:
        texts += [f"no distance to this machine's limit: {error}"] * (not shown)
    else:
        texts += [f"the machine was disturbed when its limit was measured ({disturbed})"] * bool(shown and disturbed)
    for text in texts:
        notes().print(text, style="dim", markup=False, soft_wrap=True)


def render_comparison(comparison: Comparison, measured: Sequence[Measurement], *, as_json: bool) -> None:
    """Show two latencies and what follows from them."""
    if as_json:
        print_json(asdict(comparison) | {"measurements": [each.model_dump(mode="json") for each in measured]})
        return
    _render_table(measured, [None] * len(measured), [None] * len(measured))
    console().print(f"[bold]{plain(comparison.text)}[/]", soft_wrap=True)


def _render_table(
    measurements: Sequence[Measurement], accuracies: Sequence[Accuracy | None], limits: Sequence[Limit | None]
) -> None:
    settings = {
        "runtime": [each.runtime for each in measurements],
        "threads": [format_threads(each.threads) for each in measurements],
        "batch": [f"batch {each.batch}" for each in measurements],
    }
    varied = [name for name, values in settings.items() if len(set(values)) > 1]
    bounds = {limit.bound for limit in limits if limit is not None}
    shared = [values[0] for name, values in settings.items() if name not in varied]
    # what all have in common stands above the table, which is wide enough without
    shared += [f"{bound} bounds the limit" for bound in bounds if len(bounds) == 1]
    at = common_reference_ms(measurements) if speed_varied(measurements) else None
    extra = ["at one speed>"] * (at is not None) + ["of limit>"] * bool(bounds) + ["top-1>"] * any(accuracies)
    columns = ("what", *varied, "latency>", "95 %", *extra, "size>", "verdict")
    table = new_table(*columns, title=", ".join(shared) or None, dense=len(columns) > 6)
    for number, each in enumerate(measurements):
        table.add_row(
            plain(each.name),
            *(settings[name][number] for name in varied),
            format_ms(each.latency_ms),
            f"{each.ci_low_ms:#.3g}-{each.ci_high_ms:#.3g}",
            *([format_ms(each.normalised_ms(at))] if at is not None else []),
            *([_share(limits[number]) if len(bounds) == 1 else format_limit(limits[number])] if bounds else []),
            *([_top1(accuracies[number])] if any(accuracies) else []),
            format_bytes(each.file_bytes),
            each.verdict,
        )
    console().print(table)
    if at is not None:
        notes().print(
            "at one speed: the machine's speed changed between cases; here all are scaled to its middle one",
            style="dim",
            soft_wrap=True,
        )
    _say_why(measurements)


def _say_why(measurements: Sequence[Measurement]) -> None:
    for reason in dict.fromkeys(each.reason for each in measurements if each.reason):
        same = [each for each in measurements if each.reason == reason]
        who = (
            f"{same[0].name} in {same[0].runtime}: {same[0].verdict}"
            if len(same) == 1
            else f"{len(same)} of {len(measurements)}"
        )
        notes().print(f"{who}: {reason}", style="dim", markup=False, soft_wrap=True)


def _share(limit: Limit | None) -> str:
    return format_percent(limit.share if limit is not None else None, 0)


def _top1(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return ""
    return format_percent(accuracy.top1) + ("" if accuracy.of_this_file else " (fp32)")
