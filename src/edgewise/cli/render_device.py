"""Device profiles as tables on the terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.cost.device_files import THIS_CPU, device_names, find_device, this_cpu
from edgewise.errors import InputError
from edgewise.report.formatting import (
    MISSING,
    format_bytes,
    format_count,
    format_date,
    format_percent,
    format_significant,
)

if TYPE_CHECKING:
    from rich.table import Table

    from edgewise.records.device import DeviceProfile, FittedRoofline

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


def render_devices(*, as_json: bool) -> None:
    """Show all profiles that come with Edgewise, a line each, with this machine's first."""
    profiles = [find_device(name) for name in device_names()]
    own, why_not = _own()
    if as_json:
        rows = [(THIS_CPU, own)] if own is not None else []
        rows += [(each.name, each) for each in profiles]
        print_json([{"name": name} | each.model_dump(mode="json", exclude={"name"}) for name, each in rows])
        return
    table = new_table("name", "kind", *(f"{each}>" for each in PRECISIONS), "DRAM>", "confidence", dense=True)
    if own is not None:
        table.add_row(*_line(THIS_CPU, own, own.environment.num_cores if own.environment else None))
    for each in profiles:
        table.add_row(*_line(each.name, each, None))
    console().print(table)
    notes().print(
        "precisions: MAC/s (half of what TOPS and FLOPS count); DRAM: bytes/s; as stated by the sources: edgewise device show NAME",
        style="dim",
        soft_wrap=True,
    )
    if why_not:
        notes().print(why_not, style="dim", markup=False, soft_wrap=True)


def render_device(profile: DeviceProfile, *, as_json: bool, kept: Path | None = None) -> None:
    """Show one profile: peaks, bandwidths, ridge points, where they come from and what disturbed them."""
    if as_json:
        print_json(profile.model_dump(mode="json", exclude_none=True))
        return
    out = console()
    out.print(f"[bold]{plain(profile.name)}[/] {plain(profile.title)}", soft_wrap=True)
    if not (profile.peaks or profile.memory):
        out.print("no peak and no bandwidth is known", soft_wrap=True)
    if profile.peaks:
        out.print(_peaks(profile))
    if profile.memory:
        out.print(_memory(profile))
    for line in _facts(profile):
        out.print(plain(line), soft_wrap=True)
    for remark in profile.remarks:
        out.print(f"[yellow]{plain(remark)}; measure again on a quiet machine[/]", soft_wrap=True)
    if kept is not None:
        notes().print(f"kept in {kept}", style="dim", markup=False, soft_wrap=True)


def _own() -> tuple[DeviceProfile | None, str]:
    try:
        return this_cpu(), ""
    except InputError as error:
        return None, str(error)


def _line(name: str, profile: DeviceProfile, threads: int | None) -> list[str]:
    peaks = [profile.peak(precision, threads) for precision in PRECISIONS]
    memory = profile.bandwidth("DRAM", threads)
    return [
        plain(name),
        profile.kind,
        *(format_count(each.macs_per_s) if each is not None else MISSING for each in peaks),
        format_count(memory.bytes_per_s) if memory is not None else MISSING,
        "measured" if profile.environment is not None else profile.confidence or MISSING,
    ]


def _peaks(profile: DeviceProfile) -> Table:
    is_measured = profile.environment is not None
    before, behind = (("threads>",), ("±>", "kernel")) if is_measured else ((), ())
    table = new_table("precision", *before, "MAC/s>", *behind[:1], "MACs per byte>", *behind[1:])
    for each in profile.peaks:
        table.add_row(
            each.precision,
            *[str(each.threads)] * is_measured,
            format_count(each.macs_per_s),
            *[_half_width(each.macs_per_s, each.low, each.high)] * is_measured,
            format_significant(profile.ridge_point(each.precision, each.threads)),
            *[plain(each.kernel)] * is_measured,
        )
    return table


def _memory(profile: DeviceProfile) -> Table:
    is_measured = profile.environment is not None
    before, behind = (("size>", "access", "threads>"), ("±>", "walked>", "kernel")) if is_measured else ((), ())
    table = new_table("level", *before, "bytes/s>", *behind)
    sizes = {str(cache.level): format_bytes(cache.size_bytes) for cache in profile.caches}
    for each in profile.memory:
        row = [each.level, sizes.get(each.level, ""), each.access, str(each.threads), format_count(each.bytes_per_s)]
        row += [_half_width(each.bytes_per_s, each.low, each.high), format_bytes(each.buffer_bytes), plain(each.kernel)]
        table.add_row(*(row if is_measured else (row[0], row[4])))
    return table


def _half_width(value: float, low: float | None, high: float | None) -> str:
    """Return half the 95 % interval as a share: ``2.1 %``."""
    return MISSING if low is None or high is None else format_percent((high - low) / 2 / value)


def _facts(profile: DeviceProfile) -> Iterator[str]:
    if profile.fitted is not None:
        yield _fit(profile.fitted)
    if profile.environment is not None and profile.speed is not None:
        versions = profile.environment.versions
        used = ", ".join(
            f"{name} {versions[name]}" for name in ("numpy", "onnxruntime", "openvino", "torch") if name in versions
        )
        middle = sorted(profile.speed.times_ms)[len(profile.speed.times_ms) // 2]
        yield f"measured {format_date(profile.environment.made_at)} with {used}"
        yield f"reference kernel: {format_significant(middle)} ms ({profile.speed.kernel})"
    elif profile.source:
        yield f"source: {profile.source}"
        yield f"confidence: {profile.confidence or 'none'}; read in a source: {profile.read or MISSING} ({profile.read_note})"
    if profile.notes:
        yield f"notes: {profile.notes}"


def _fit(fit: FittedRoofline) -> str:
    return (
        f"fitted to {fit.num_models} published latencies ({fit.precision}): {format_count(fit.macs_per_s)}MAC/s, "
        f"{format_bytes(fit.bytes_per_s)}/s, constant {1e3 * fit.constant_s:.2f} ms, "
        f"ridge point {fit.ridge_point_macs_per_byte:g} MACs per byte; median error {format_percent(fit.median_error)}, "
        f"left out one at a time {format_percent(fit.loo_median_error)}. {fit.note}"
    ).rstrip()
