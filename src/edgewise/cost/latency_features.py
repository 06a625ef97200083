"""What a latency predictor knows of a kernel: what group it belongs to, and its sizes as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.fusion import ALL_ACTIVATIONS, CLAMPS
from edgewise.cost.layout import filled
from edgewise.records.cost import CONVS, MATMULS, KernelCost, OpKind

KINDS: Final[frozenset[OpKind]] = frozenset(get_args(OpKind)) - {"view", "constant", "check"}
"""Kinds of kernels that take time."""
BY_FUNCTION: Final[frozenset[OpKind]] = frozenset({"activation", "elementwise"})
"""Kinds of which each operator has a kernel of its own: GELU takes several times as long as a ReLU."""
BY_BLOCK: Final[frozenset[OpKind]] = frozenset({"depthwise", "grouped"})
"""Kinds that engines with blocked layouts compute another way where channels do not fill the blocks."""
DENSE: Final[frozenset[OpKind]] = frozenset({"conv", "pointwise"})
"""Kinds that read a plain map where it has fewer channels than a block."""
PIECEWISE: Final = frozenset({"hardsigmoid", "hardswish"})
GELU: Final = frozenset({"gelu"})
DEAR: Final = (PIECEWISE, GELU, ALL_ACTIVATIONS - CLAMPS - {"leaky_relu"} - PIECEWISE - GELU)
"""Functions that cost more than a clamp, by what they cost: a few products, an error function, an exponential."""
NAMES: Final = ("inputs", "outputs", "map", "window", "macs", "weights", "moved")
"""Of the sizes: channels read and written, elements of the map or tokens, elements of the window, MACs, bytes of weights, bytes moved."""
BLOCKS: Final = (16, 8)
"""Channels of a block in memory: of AVX-512 or NEON's widest kernels, and of AVX2."""
FLAGS: Final = (
    "strided",
    *(f"{side} beside blocks of {block}" for block in BLOCKS for side in ("inputs", "outputs")),
    "tiny inputs",
    "extra functions",
)
"""Whether it strides; whether channels are no multiple of 16 or 8, read and written; whether fewer than 8 are read; how many operators are
joined to it."""

PLAIN_ROOF: Final = (1.0, 1 / 20_000, 1 / 10_000)
"""µs a kernel, a MAC, a byte: 1 µs, 20 GMAC/s, 10 GB/s, where a group with few kernels stays."""

Matrix = NDArray[np.float64]


def group_of(kernel: KernelCost) -> str | None:
    """Return the group of ``kernel``, whose times one function gives; None for one that costs nothing."""
    if kernel.kind not in KINDS:
        return None
    if kernel.kind in BY_FUNCTION and kernel.ops:
        return _function(kernel.ops[0])
    if kernel.kind == "reorder":
        return "reorder into blocks" if kernel.block else "reorder out of blocks"
    if kernel.block:
        return f"{kernel.kind} in blocks{', of few channels' if _reads_plain(kernel, _shape(kernel)[0]) else ''}"
    if kernel.kind in BY_BLOCK and _shape(kernel)[0] % BLOCKS[0]:
        return f"{kernel.kind}, beside blocks of {BLOCKS[0]}"
    return "matmul" if kernel.kind == "attention" else kernel.kind


def sizes_of(kernel: KernelCost) -> tuple[float, ...]:
    """Return the base-two logarithms of the sizes that `NAMES` lists; of 1 where there is none."""
    inputs, outputs, elements, window = _shape(kernel)
    in_filled, out_filled = _filled(kernel, inputs, outputs)
    more = in_filled * out_filled / (inputs * outputs) if kernel.kind in DENSE else out_filled / outputs
    moved = kernel.read_bytes + kernel.written_bytes
    values = (in_filled, out_filled, elements, window, kernel.macs * more, kernel.weight_bytes * more, moved)
    return tuple(math.log2(max(1, value)) for value in values)


def roof_parts(sizes: Matrix) -> Matrix:
    """Return what a roofline prices of (kernels, `NAMES`): one, MACs and bytes moved of each, (kernels, 3)."""
    macs = np.exp2(sizes[:, NAMES.index("macs")])
    moved = np.exp2(sizes[:, NAMES.index("moved")]) + np.exp2(sizes[:, NAMES.index("weights")])
    return np.stack([np.ones(len(sizes)), np.where(macs <= 1, 0.0, macs), moved], axis=1)


def flags_of(kernel: KernelCost) -> tuple[float, ...]:
    """Return 0 or 1 for each of `FLAGS`; of the last one a number."""
    inputs, outputs, _, _ = _shape(kernel)
    return (
        float(any(step > 1 for step in kernel.stride)),
        *(float(chs % block != 0) for block in BLOCKS for chs in (inputs, outputs)),
        float(inputs < BLOCKS[-1]),
        float(min(3, max(0, len(kernel.ops) - 1))),
    )


def traits_of(kernel: KernelCost) -> tuple[float, ...]:
    """Return what besides its sizes decides the time of a kernel: stride, dear functions, a shortcut, the map's side, unfilled blocks."""
    inputs, outputs, _, _ = _shape(kernel)
    joined = set(map(_function, kernel.ops[1:]))
    side = kernel.out_shape[-1] if len(kernel.out_shape) == 4 else 1
    unfilled = 0 if kernel.block else sum(chs % BLOCKS[0] != 0 for chs in (inputs, outputs))
    return (
        2.0 * any(step > 1 for step in kernel.stride),
        *(float(bool(joined & functions)) for functions in DEAR),
        float(kernel.kind in CONVS and len(kernel.in_shapes) > 1),
        math.log2(max(1, side)),
        float(unfilled),
    )


def _filled(kernel: KernelCost, inputs: int, outputs: int) -> tuple[int, int]:
    """Return channels read and written once they are filled up to whole blocks."""
    if not kernel.block:
        return inputs, outputs
    return inputs if _reads_plain(kernel, inputs) else filled(inputs, kernel.block), filled(outputs, kernel.block)


def _reads_plain(kernel: KernelCost, inputs: int) -> bool:
    """Say whether a kernel that writes blocks has too few channels to read any."""
    return kernel.kind in DENSE and inputs < kernel.block


def _function(op: str) -> str:
    """Return ``relu`` for ``17_relu_``."""
    return op.partition("_")[2].rstrip("_")


def _shape(kernel: KernelCost) -> tuple[int, int, int, int]:
    """Return channels read, channels written, elements of the map, elements of the window."""
    out = kernel.out_shape
    into: Sequence[int] = max(kernel.in_shapes, key=math.prod, default=())
    if kernel.kind in CONVS and len(out) == 4:
        weight = kernel.weight_shape
        return weight[1] * kernel.groups, out[1], out[2] * out[3], math.prod(weight[2:])
    if kernel.kind == "linear" and out and kernel.weight_shape:
        # the map that it reads may be of another shape: flattening is nothing
        return math.prod(kernel.weight_shape) // out[-1], out[-1], math.prod(out[:-1]), 1
    if kernel.kind in MATMULS and out and into:
        return into[-1], out[-1], math.prod(out[:-1]), 1
    # channels lie in front where there is a map, and last where there are tokens
    chs = into[1] if len(into) == 4 else into[-1] if into else 1
    made = out[1] if len(out) == 4 else out[-1] if out else 1
    return chs, made, max(1, math.prod(into) // max(1, chs)), max(1, math.prod(into) // max(1, math.prod(out)))
