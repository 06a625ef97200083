"""A model under a device's roof: for each kernel the larger of the time for its arithmetic and for its bytes.

Source: Williams et al. 2009, "Roofline"; MobileNetV4 (arXiv 2404.10518v2), section 3: T = sum over operators of max(MACs / peak MACs a
second, bytes / peak bandwidth).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewise.cost.limit import ARITHMETIC
from edgewise.errors import ConfigError
from edgewise.records.cost import CostReport, KernelCost
from edgewise.records.device import LEVELS, DeviceProfile, Level
from edgewise.records.roofline import Bound, KernelTime, Roofline


@dataclass(frozen=True, slots=True, kw_only=True)
class _Roof:
    """What a device's figures come to for one precision and thread count."""

    basis: str
    macs_per_s: float
    bandwidths: Sequence[tuple[Level, float, float]]
    """Of each level: its name, the bytes up to which data comes from it, and its bytes a second; the last one takes the rest."""
    constant_s: float

    def bytes_per_s(self, resident: int) -> float:
        """Return the bandwidth of the smallest level that holds ``resident`` bytes."""
        return next(rate for _, held, rate in self.bandwidths if resident <= held)


def roofline(
    report: CostReport,
    device: DeviceProfile,
    *,
    threads: int | None = None,
    overhead_us: float = 0.0,
    stated: bool = False,
    measured_ms: float | None = None,
) -> Roofline:
    """Return the times of a counted model's kernels on ``device``.

    Of a device that was measured, weights come from the level that holds all weights and the largest set of activations, and activations
    from the one that holds the kernel's own; of others everything comes from the main memory.

    Args:
        report: with its kernels, counted for the precision that the file multiplies in.
        device: a profile.
        threads: of its figures; a measured profile has them for one and for all cores, stated ones have none.
        overhead_us: fixed cost of a kernel in µs, where it is known.
        stated: take the data sheet's figures even where the device has fitted ones.
        measured_ms: a latency of this model there, to set beside.

    Raises:
        ConfigError: the device has no peak for the precision, or no bandwidth; those that it has are listed.
    """
    roof = _roof(report.dtype, device, threads, stated)
    resident = report.weight_bytes + report.peak_activation_bytes
    timed = [_time(kernel, roof, resident, overhead_us / 1e6) for kernel in report.kernels]
    total_s = sum(seconds for seconds, _ in timed) or 1.0
    return Roofline(
        model=report.model,
        device=device.name,
        input_shape=report.input_shape,
        precision=report.dtype,
        threads=threads,
        basis=roof.basis,
        macs_per_s=roof.macs_per_s,
        bytes_per_s=roof.bandwidths[-1][2],
        constant_ms=1e3 * roof.constant_s,
        kernels=tuple(
            KernelTime(
                module=kernel.module,
                kind=kernel.kind,
                out_shape=kernel.out_shape,
                macs=kernel.macs,
                bytes_moved=bytes_of(kernel),
                time_ms=1e3 * seconds,
                share=seconds / total_s,
                bound=bound,
            )
            for kernel, (seconds, bound) in zip(report.kernels, timed, strict=True)
        ),
        measured_ms=measured_ms,
    )


def bytes_of(kernel: KernelCost) -> int:
    """Return the bytes that ``kernel`` moves: weights, and activations in both directions."""
    return kernel.weight_bytes + kernel.read_bytes + kernel.written_bytes


def _time(kernel: KernelCost, roof: _Roof, resident: int, overhead_s: float) -> tuple[float, Bound]:
    moved = kernel.read_bytes + kernel.written_bytes
    compute_s = kernel.macs / roof.macs_per_s
    memory_s = kernel.weight_bytes / roof.bytes_per_s(resident) + moved / roof.bytes_per_s(moved)
    times: dict[Bound, float] = {"compute": compute_s, "memory": memory_s}
    slowest = max(times, key=lambda name: times[name])
    return times[slowest] + overhead_s, "overhead" if overhead_s > times[slowest] else slowest


def _roof(precision: str, device: DeviceProfile, threads: int | None, stated: bool) -> _Roof:
    own = ARITHMETIC.get(precision, precision)
    fitted = device.fitted
    if fitted is not None and fitted.precision == own and not stated:
        return _Roof(
            basis="fitted",
            macs_per_s=fitted.macs_per_s,
            bandwidths=[("DRAM", float("inf"), fitted.bytes_per_s)],
            constant_s=fitted.constant_s,
        )
    peak = device.peak(own, threads)
    rows = [
        (level, device.cached_bytes(LEVELS[at + 1], threads or 1) if at + 1 < len(LEVELS) else None, row.bytes_per_s)
        for at, level in enumerate(LEVELS)
        if (row := device.bandwidth(level, threads)) is not None
    ]
    if peak is None or not rows:
        what = f"peak for {own}" if peak is None else "memory bandwidth"
        raise ConfigError(f"{device.name} has no {what}{_with(threads)}; it has {_offers(device)}")
    levels = [(level, float(held) if held else 0.0, rate) for level, held, rate in rows]
    return _Roof(
        basis="measured" if device.environment is not None else "stated",
        macs_per_s=peak.macs_per_s,
        bandwidths=[*levels[:-1], (levels[-1][0], float("inf"), levels[-1][2])],
        constant_s=0.0,
    )


def _with(threads: int | None) -> str:
    return f" with {threads} thread{'s' if threads > 1 else ''}" if threads is not None else ""


def _offers(device: DeviceProfile) -> str:
    found = [f"{peak.precision}{_with(peak.threads)}" for peak in device.peaks]
    if device.fitted is not None:
        found.append(f"{device.fitted.precision} (fitted)")
    return ", ".join(found) or "no peaks at all"
