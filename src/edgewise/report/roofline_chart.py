"""The roofline chart: a device's roofs, and a model's kernels under them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgewise.records.roofline import KernelTime, Roofline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Mapping[str, str] = {
    "conv": "#1f5fbf",
    "pointwise": "#4f8fe0",
    "grouped": "#7a5c00",
    "depthwise": "#c96a10",
    "linear": "#2a8f5b",
    "matmul": "#8d4bb5",
    "attention": "#8d4bb5",
}
OTHER = "#7d8792"
INK = "#333a42"
DPI = 130
LARGEST = 420.0
"""Area of a kernel that takes all of the time, in square points."""
SMALLEST = 12.0


def draw_roofline(found: Roofline, bandwidths: Mapping[str, float]) -> Figure:
    """Draw MAC/s against MACs per byte: the roofs as lines, each kernel that multiplies as a dot as large as its share of the time.

    Args:
        found: the model on the device.
        bandwidths: bytes a second of each memory level to draw, by its name.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    shown = [kernel for kernel in found.kernels if kernel.macs and kernel.time_ms]
    intensities = [kernel.intensity for kernel in shown] or [found.ridge_point]
    low = min(*intensities, found.ridge_point) / 2
    high = max(*intensities, found.ridge_point) * 3
    for name, rate in bandwidths.items():
        ridge = found.macs_per_s / rate
        axes.plot(
            [low, ridge, high], [low * rate, found.macs_per_s, found.macs_per_s], color=INK, linewidth=1.1, zorder=1
        )
        axes.annotate(
            f"{name} {_si(rate)}B/s",
            (low, low * rate),
            xytext=(-2, 9),
            textcoords="offset points",
            fontsize=7,
            color=INK,
        )
    for kernel in shown:
        _dot(axes, kernel)
    _finish(axes, found, {kernel.kind for kernel in shown})
    return figure


def _dot(axes: Axes, kernel: KernelTime) -> None:
    axes.scatter(
        kernel.intensity,
        1e3 * kernel.macs / kernel.time_ms,
        s=max(SMALLEST, LARGEST * kernel.share),
        facecolors=COLOURS.get(kernel.kind, OTHER),
        edgecolors="white",
        linewidths=0.6,
        alpha=0.85,
        zorder=2,
    )


def _finish(axes: Axes, found: Roofline, kinds: set[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: _si(value)))
    axes.set_xlabel("MACs per byte moved")
    axes.set_ylabel("MAC/s under the roof")
    shape = "x".join(map(str, found.input_shape))
    title = (
        f"{found.model} {found.precision} {shape} on {found.device} ({found.basis} figures): {found.total_ms:.3g} ms"
    )
    if found.measured_ms is not None:
        title += f"; measured {found.measured_ms:.3g} ms"
    axes.set_title(title, fontsize=9, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    ordered = [*(kind for kind in COLOURS if kind in kinds), *sorted(kinds - COLOURS.keys())]
    dots = [Line2D([], [], linestyle="", marker="o", color=COLOURS.get(kind, OTHER), label=kind) for kind in ordered]
    axes.legend(
        handles=dots, frameon=False, fontsize=8, loc="lower right", title="area: share of the time", title_fontsize=7
    )


def _si(value: float) -> str:
    for power, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= power:
            return f"{value / power:.3g} {letter}"
    return f"{value:.3g} "
