"""What a roofline says of a model on a device: a time and a bound for each kernel, and their sum."""

from __future__ import annotations

from typing import Literal

from edgewise.records.cost import OpKind
from edgewise.records.record import Record

Bound = Literal["compute", "memory", "overhead"]


class KernelTime(Record):
    """One kernel under the roof."""

    module: str
    """Dotted path of the module that called it; empty for the root."""
    kind: OpKind
    out_shape: tuple[int, ...]
    macs: int
    bytes_moved: int
    """Weights read, activations read and written."""
    time_ms: float
    share: float
    """Of the sum over all kernels, 0-1."""
    bound: Bound
    """What takes longest: the arithmetic, the bytes, or the fixed cost of a kernel."""

    @property
    def intensity(self) -> float:
        """Return MACs per byte moved."""
        return self.macs / self.bytes_moved if self.bytes_moved else 0.0


class Roofline(Record):
    """A model on a device, kernel by kernel; times are the least that the device can need, as far as its figures hold."""

    model: str
    device: str
    input_shape: tuple[int, ...]
    """(N, C, H, W)"""
    precision: str
    threads: int | None
    """Of the device's figures; absent where they are stated for the device as a whole."""
    basis: Literal["stated", "fitted", "measured"]
    """Where the peaks come from: data sheets, published latencies, or the clock of this machine."""
    macs_per_s: float
    bytes_per_s: float
    """Of the main memory, or of the level that `kernels` say."""
    constant_ms: float = 0.0
    """Once a call."""
    kernels: tuple[KernelTime, ...]
    measured_ms: float | None = None
    """A latency of the same model there, where there is one."""

    @property
    def ridge_point(self) -> float:
        """Return the MACs per byte above which arithmetic bounds."""
        return self.macs_per_s / self.bytes_per_s

    @property
    def total_ms(self) -> float:
        """Return the time of one call under the roof."""
        return self.constant_ms + sum(kernel.time_ms for kernel in self.kernels)

    @property
    def share_of_roof(self) -> float | None:
        """Return how near the measured latency comes to the roof, 1 = at it; None without one."""
        return None if self.measured_ms is None else self.total_ms / self.measured_ms
