"""How near a latency comes to what the machine can do: the larger of the time for the arithmetic and for the bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edgewise.records.device import LEVELS, DeviceProfile, Level
from edgewise.records.limit import Limit

ARITHMETIC: Final[Mapping[str, str]] = MappingProxyType({"int8-weights": "fp32"})
"""What files of a precision multiply in, where it is not their own: int8 weights are brought back before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What no runtime can avoid in one call.

    Attributes:
        macs: multiply-accumulates; of convolutions, linear layers and matmuls.
        weight_bytes: of all weights, at the file's precision.
        io_bytes: of inputs and outputs.
        precision: that the file itself says it multiplies in; None where it does not say.
    """

    macs: int
    weight_bytes: int
    io_bytes: int
    precision: str | None = None


def machine_limit(
    work: Work,
    device: DeviceProfile,
    *,
    latency_ms: float,
    precision: str,
    threads: int,
    reference: tuple[str, float] | None = None,
) -> Limit | None:
    """Return the least time that ``device`` needs for ``work``, beside the latency that was measured there.

    Compute: MACs by the peak of the precision, or of fp32 where that is faster, as a runtime is free to compute in it.
    Memory: what the caches before a level cannot hold must come from that level in each call; the slowest level counts. Both are
    lower bounds: activations are taken to stay in registers, and bytes and arithmetic to overlap.

    Args:
        work: of one call.
        device: measured on the machine of the latency.
        latency_ms: that was measured.
        precision: that the file multiplies in, as in ``fp32``.
        threads: of the call; only figures with exactly as many count.
        reference: the reference kernel's name and time in ms beside the latency. The peak is brought to that speed of the machine, which
            may have another clock than when its peak was measured; bandwidths are left as they are.

    Returns:
        None where the device's peak is unknown for the precision or the threads.

    Source: Williams et al. 2009, "Roofline". Deviation: one roof for each level of the memory, and whole calls instead of kernels.
    """
    own = device.peak(ARITHMETIC.get(precision, precision), threads)
    float_ = device.peak("fp32", threads)
    if own is None:
        return None
    best = max((each for each in (own, float_) if each is not None), key=lambda peak: peak.macs_per_s)
    macs_per_s = best.macs_per_s
    if reference is not None and device.speed is not None and best.reference_ms and device.speed.kernel == reference[0]:
        macs_per_s *= best.reference_ms / reference[1]
    compute_ms = 1e3 * work.macs / macs_per_s
    bytes_moved = work.weight_bytes + work.io_bytes
    slowest = max(_ways(bytes_moved, device, threads), default=None)
    memory_ms = slowest[0] if slowest is not None else None
    limit_ms = max(compute_ms, memory_ms or 0.0)
    return Limit(
        limit_ms=limit_ms,
        share=limit_ms / latency_ms,
        bound="compute" if limit_ms == compute_ms else "memory",
        compute_ms=compute_ms,
        memory_ms=memory_ms,
        memory_level=slowest[2] if slowest is not None else None,
        macs=work.macs,
        bytes_moved=bytes_moved,
        precision=best.precision,
        macs_per_s=macs_per_s,
        bytes_per_s=slowest[1] if slowest is not None else None,
        kernel=best.kernel,
        profile_made_at=device.environment.made_at if device.environment is not None else "",
    )


def _ways(bytes_moved: int, device: DeviceProfile, threads: int) -> list[tuple[float, float, Level]]:
    """Return for each level the ms that it takes at least, its bandwidth and its name; none where the caches are unknown."""
    found = []
    for level in LEVELS:
        row, held = device.bandwidth(level, threads), device.cached_bytes(level, threads)
        if row is not None and held is not None:
            found.append((1e3 * max(0, bytes_moved - held) / row.bytes_per_s, row.bytes_per_s, level))
    return found
