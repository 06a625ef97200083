"""What a latency predictor knows of a kernel: what group it belongs to, and its sizes as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.records.cost import KernelCost, OpKind

GROUPS: Final[dict[OpKind, str]] = {
    "conv": "conv",
    "pointwise": "pointwise",
    "depthwise": "depthwise",
    "grouped": "grouped",
    "linear": "linear",
    "matmul": "matmul",
    "attention": "matmul",
    "norm": "norm",
    "softmax": "softmax",
    "activation": "activation",
    "elementwise": "elementwise",
    "pool": "reduce",
    "reduce": "reduce",
    "resize": "resize",
    "move": "move",
    "copy": "move",
    "turn": "move",
    "cut": "move",
}
"""Kinds whose kernels are priced by one function; those that do nothing are not among them."""
NAMES: Final = ("inputs", "outputs", "map", "window", "macs", "weights", "moved")
"""Of the sizes: channels read and written, elements of the map or tokens, elements of the window, MACs, bytes of weights, bytes moved."""
FLAGS: Final = ("strided", "ragged inputs", "ragged outputs", "tiny inputs", "extra functions")
"""Whether it strides; whether channels are no multiple of 16, read and written; fewer than 8 read; operators joined to it besides one."""
RAGGED: Final = 16

Matrix = NDArray[np.float64]


def group_of(kernel: KernelCost) -> str | None:
    """Return the group of ``kernel``; None for one that costs nothing."""
    return GROUPS.get(kernel.kind)


def sizes_of(kernel: KernelCost) -> tuple[float, ...]:
    """Return the base-two logarithms of the sizes that `NAMES` lists; of 1 where there is none."""
    inputs, outputs, elements, window = _shape(kernel)
    moved = kernel.read_bytes + kernel.written_bytes
    values = (inputs, outputs, elements, window, kernel.macs, kernel.weight_bytes, moved)
    return tuple(math.log2(max(1, value)) for value in values)


def flags_of(kernel: KernelCost) -> tuple[float, ...]:
    """Return 0 or 1 for each of `FLAGS`; of the last one a number."""
    inputs, outputs, _, _ = _shape(kernel)
    return (
        float(any(step > 1 for step in kernel.stride)),
        float(inputs % RAGGED != 0),
        float(outputs % RAGGED != 0),
        float(inputs < 8),
        float(min(3, max(0, len(kernel.ops) - 1))),
    )


def _shape(kernel: KernelCost) -> tuple[int, int, int, int]:
    """Return channels read, channels written, elements of the map, elements of the window."""
    out = kernel.out_shape
    into: Sequence[int] = max(kernel.in_shapes, key=math.prod, default=())
    if kernel.kind in ("conv", "pointwise", "depthwise", "grouped") and len(out) == 4:
        weight = kernel.weight_shape
        return weight[1] * kernel.groups, out[1], out[2] * out[3], math.prod(weight[2:])
    if kernel.kind in ("linear", "matmul", "attention") and out and into:
        return into[-1], out[-1], math.prod(out[:-1]), 1
    # channels lie in front where there is a map, and last where there are tokens
    chs = into[1] if len(into) == 4 else into[-1] if into else 1
    made = out[1] if len(out) == 4 else out[-1] if out else 1
    return chs, made, max(1, math.prod(into) // max(1, chs)), max(1, math.prod(into) // max(1, math.prod(out)))
