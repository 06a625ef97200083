"""What a model costs on devices of every ridge point: where arithmetic is dear, where bytes are, and between.

A ridge point is peak MACs a second by peak bytes a second: on a device with ridge point R a byte takes as long as R MACs, so a model costs
sum over kernels of max(MACs, R x bytes), in MACs of that device's time. R = 0 counts MACs alone.

Source: MobileNetV4 (arXiv 2404.10518v2), section 3, Figures 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.roofline import bytes_of
from edgewise.records.cost import CostReport, KernelCost, OpKind

OP_CLASSES: Final = ("convolution", "depthwise", "classifier", "attention", "other")
_CLASS_OF: Final[Mapping[OpKind, str]] = MappingProxyType(
    {
        "conv": "convolution",
        "pointwise": "convolution",
        "grouped": "convolution",
        "depthwise": "depthwise",
        "linear": "classifier",
        "matmul": "attention",
        "attention": "attention",
        "softmax": "attention",
    }
)


def op_class(kernel: KernelCost) -> str:
    """Return the class of work that ``kernel`` does; pointwise convolutions of a single pixel count to the classifier, as in the paper."""
    if kernel.kind in ("pointwise", "conv") and kernel.out_shape[2:] == (1, 1):
        return "classifier"
    return _CLASS_OF.get(kernel.kind, "other")


def sweep(low: float, high: float, num: int = 40) -> NDArray[np.float64]:
    """Return ``num`` ridge points from ``low`` to ``high`` MACs per byte, evenly spaced in their logarithm; 0 stands by itself."""
    first = max(low, min(1.0, high / 10)) if low == 0 else low
    points = np.geomspace(first, high, num - (low == 0))
    return np.concatenate([[0.0], points]) if low == 0 else points


@dataclass(frozen=True, slots=True)
class RidgeCurve:
    """One model's cost at each ridge point.

    Attributes:
        model: its name.
        top1: published accuracy, a fraction; None where nobody published one.
        by_class: cost in MACs of the device's time, one value a ridge point, for each of `OP_CLASSES`.
    """

    model: str
    top1: float | None
    by_class: Mapping[str, NDArray[np.float64]]

    @property
    def total(self) -> NDArray[np.float64]:
        """Return the cost at each ridge point."""
        return np.asarray(np.sum(list(self.by_class.values()), axis=0), dtype=np.float64)


def ridge_curve(name: str, top1: float | None, report: CostReport, ridge_points: NDArray[np.float64]) -> RidgeCurve:
    """Return the cost of a counted model at each of ``ridge_points``."""
    by_class = {each: np.zeros(len(ridge_points)) for each in OP_CLASSES}
    for kernel in report.kernels:
        by_class[op_class(kernel)] += np.maximum(kernel.macs, ridge_points * bytes_of(kernel))
    return RidgeCurve(name, top1, MappingProxyType(by_class))


def pareto_members(curves: Sequence[RidgeCurve]) -> NDArray[np.bool_]:
    """Return for each curve (rows) and ridge point (columns) whether no other model is cheaper and at least as accurate there.

    Curves without an accuracy are never members.
    """
    cost = np.array([curve.total for curve in curves])
    top1 = np.array([-1.0 if curve.top1 is None else curve.top1 for curve in curves])
    better = top1[:, None] >= top1[None, :]
    beaten = np.zeros(cost.shape, dtype=bool)
    for number in range(len(curves)):
        cheaper = cost < cost[number]
        equal_but_better = (cost == cost[number]) & (top1 > top1[number])[:, None]
        beaten[number] = np.any((cheaper & better[:, number][:, None]) | equal_but_better, axis=0)
    return ~beaten & (top1 >= 0)[:, None]
