"""A calibration, a predicted latency and a table of choices, as text or JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.report.formatting import format_ms, format_percent, format_threads

if TYPE_CHECKING:
    from rich.table import Table

    from edgewise.pipeline.predict_latency_job import PredictedLatency
    from edgewise.records.latency_profile import LatencyProfile
    from edgewise.records.latency_table import LatencyTable

MAX_OUTSIDE = 8


def render_calibration(profile: LatencyProfile, path: Path, *, as_json: bool) -> None:
    """Show what a calibration found, and what it is worth."""
    if as_json:
        print_json(
            profile.model_dump(mode="json", exclude={"samples", "corrections", "processes"}) | {"path": str(path)}
        )
        return
    if profile.processes:
        table = new_table("kernels", "timed>")
        for process in profile.processes:
            table.add_row(process.group, str(len(process.points)))
    else:
        table = _rooflines(profile)
    out = console()
    out.print(table)
    out.print(
        f"{profile.runtime}, {format_threads(profile.threads)}: {len(profile.samples)} networks; "
        f"on those left out of the fit, the median error is {format_percent(profile.median_error)} and "
        f"{format_percent(profile.within_10_percent)} are within 10 %",
        soft_wrap=True,
    )
    notes().print(f"profile: {path}", style="dim", markup=False, soft_wrap=True)


def _rooflines(profile: LatencyProfile) -> Table:
    table = new_table("kernels", "sampled>", "µs each>", "GMAC/s>", "GB/s>")
    for each in profile.kernels:
        table.add_row(
            each.group,
            str(each.num_kernels),
            f"{each.overhead_us:.2f}",
            f"{each.macs_per_us / 1e3:.3g}",
            f"{each.bytes_per_us / 1e3:.3g}",
        )
    return table


def render_predicted(predicted: PredictedLatency, *, as_json: bool, layers: bool) -> None:
    """Show a predicted latency with its interval, and what the calibration has not seen the like of."""
    estimate, report = predicted.estimate, predicted.report
    if as_json:
        kernels = [
            {"module": kernel.module, "kind": kernel.kind, "out_shape": kernel.out_shape, "time_ms": time_ms}
            for kernel, time_ms in zip(report.kernels, estimate.kernels_ms, strict=True)
        ]
        print_json(
            asdict(estimate)
            | {
                "model": report.model,
                "input_shape": report.input_shape,
                "runtime": predicted.profile.runtime,
                "threads": predicted.profile.threads,
                "kernels": kernels,
                "warnings": list(predicted.warnings),
            }
        )
        return
    out = console()
    if layers:
        table = new_table("module", "kind", "output", "ms>", "share>")
        for kernel, time_ms in zip(report.kernels, estimate.kernels_ms, strict=True):
            shape = " x ".join(map(str, kernel.out_shape))
            share = format_percent(time_ms / estimate.latency_ms)
            table.add_row(plain(kernel.module), kernel.kind, shape, f"{time_ms:.4f}", share)
    else:
        table = new_table("kernels", "ms>", "share>")
        for group, time_ms in sorted(estimate.by_group_ms.items(), key=lambda each: -each[1]):
            table.add_row(group, f"{time_ms:.3f}", format_percent(time_ms / estimate.latency_ms))
    out.print(table)
    profile = predicted.profile
    out.print(
        f"[bold]{plain(report.model)}[/] at {report.input_shape[-1]} px in {profile.runtime}, "
        f"{format_threads(profile.threads)}: [bold]{format_ms(estimate.latency_ms)}[/] "
        f"(90 %: {format_ms(estimate.low_ms)} to {format_ms(estimate.high_ms)})",
        soft_wrap=True,
    )
    for warning in predicted.warnings:
        notes().print(warning, style="yellow", markup=False, soft_wrap=True)
    for each in estimate.outside[:MAX_OUTSIDE]:
        notes().print(f"outside the calibration: {each.module} ({each.kind}): {each.why}", style="yellow", markup=False)
    if len(estimate.outside) > MAX_OUTSIDE:
        notes().print(f"and {len(estimate.outside) - MAX_OUTSIDE} more", style="yellow", markup=False)


def render_table(table: LatencyTable, path: Path, *, as_json: bool) -> None:
    """Show what each decision costs at least and at most, and how well the sums hold."""
    if as_json:
        print_json(table.model_dump(mode="json", exclude={"networks"}) | {"path": str(path)})
        return
    rows = new_table("choice", "options>", "fastest, ms>", "slowest, ms>", "apart, ms>")
    for each in table.decisions:
        low, high = min(each.cost_ms), max(each.cost_ms)
        rows.add_row(plain(each.path), str(len(each.options)), f"{low:+.3f}", f"{high:+.3f}", f"{high - low:.3f}")
    out = console()
    out.print(rows)
    start = "predicted costs" if table.prior == "predicted" else "nothing: this machine is not calibrated for it"
    out.print(
        f"[bold]{plain(table.space)}[/] in {table.runtime}, {format_threads(table.threads)}: "
        f"{format_ms(table.min_ms)} to {format_ms(table.max_ms)}; {len(table.networks)} networks measured, the fit started from "
        f"{start}; on those left out of it, the sum is off by {format_percent(table.median_error)} in the median, "
        f"{format_percent(table.error_95th_percentile)} at the 95th percentile",
        soft_wrap=True,
    )
    notes().print(f"table: {path}", style="dim", markup=False, soft_wrap=True)
