"""Which of a runtime's operators is which kernel: the times of a profile, put to the kernels that were counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.layout import filled
from edgewise.records.cost import CONVS, MATMULS, KernelCost
from edgewise.records.op_time import OpTime

ARITHMETIC: Final = frozenset({"elementwise"})
FUNCTIONS: Final = frozenset({"activation"})
MOVES: Final = frozenset({"move", "turn", "cut", "copy"})

KINDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        # ONNX Runtime
        "Conv": CONVS | {"norm"},
        "FusedConv": CONVS,
        "Gemm": MATMULS,
        "FusedGemm": MATMULS,
        "MatMul": MATMULS,
        "FusedMatMul": MATMULS,
        **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Max", "Min", "Neg", "Exp"), ARITHMETIC),
        **dict.fromkeys(("Gelu", "QuickGelu", "BiasGelu", "FastGelu", "Relu", "Sigmoid", "HardSigmoid"), FUNCTIONS),
        **dict.fromkeys(("HardSwish", "Clip", "Tanh", "Elu", "LeakyRelu", "Softplus", "Mish"), FUNCTIONS),
        **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax"), frozenset({"reduce"})),
        "GlobalAveragePool": frozenset({"reduce", "pool"}),
        **dict.fromkeys(("MaxPool", "AveragePool"), frozenset({"pool"})),
        **dict.fromkeys(("LayerNormalization", "SkipLayerNormalization", "BatchNormalization"), frozenset({"norm"})),
        **dict.fromkeys(("InstanceNormalization", "GroupNorm"), frozenset({"norm"})),
        **dict.fromkeys(("ReorderInput", "ReorderOutput", "Reorder"), frozenset({"reorder"})),
        **dict.fromkeys(("Transpose", "Concat", "Split", "Slice", "Pad", "Expand", "Gather"), MOVES),
        **dict.fromkeys(("Resize", "Upsample"), frozenset({"resize"})),
        # OpenVINO
        **dict.fromkeys(("Convolution", "GroupConvolution"), CONVS),
        "FullyConnected": MATMULS,
        **dict.fromkeys(("Eltwise", "Math", "Subgraph"), ARITHMETIC | FUNCTIONS | {"norm"}),
        "Reduce": frozenset({"reduce"}),
        "Pooling": frozenset({"pool", "reduce"}),
        "MVN": frozenset({"norm"}),
        **dict.fromkeys(("Concatenation", "StridedSlice", "ShuffleChannels"), MOVES),
        "ScaledDotProductAttention": MATMULS,
        "Interpolate": frozenset({"resize"}),
        # both
        "Softmax": frozenset({"softmax"}),
    }
)
"""Of each runtime's operators, the kinds of kernels that they run."""


def kernel_times(kernels: Sequence[KernelCost], ops: Sequence[OpTime]) -> list[float | None]:
    """Return what each of ``kernels`` took, in µs; None for one that is no operator of the profile.

    Both are in the order in which they run, so the longest common sequence is taken: operators of a kernel's kind that write as many
    elements as it does. What an operator took that is no kernel's, as the bias behind a matmul, counts for the one before it.

    Args:
        kernels: as they were counted.
        ops: of a profile.
    """
    sizes = [_written(kernel) for kernel in kernels]
    likely = np.array(
        [
            [
                kernel.kind in KINDS.get(op.op, ()) and op.numel in size
                for kernel, size in zip(kernels, sizes, strict=True)
            ]
            for op in ops
        ],
        bool,
    ).reshape(len(ops), len(kernels))
    length: NDArray[np.intp] = np.zeros((len(ops) + 1, len(kernels) + 1), np.intp)
    for row in range(len(ops) - 1, -1, -1):
        for column in range(len(kernels) - 1, -1, -1):
            both = length[row + 1, column + 1] + 1 if likely[row, column] else 0
            length[row, column] = max(both, length[row + 1, column], length[row, column + 1])
    pairs: dict[int, int] = {}
    row = column = 0
    while row < len(ops) and column < len(kernels):
        if likely[row, column] and length[row, column] == length[row + 1, column + 1] + 1:
            pairs[row] = column
            row, column = row + 1, column + 1
        elif length[row, column] == length[row, column + 1]:
            column += 1
        else:
            row += 1
    # branches may run in another order than they were counted in
    left = [column for column in range(len(kernels)) if column not in pairs.values()]
    for row in range(len(ops)):
        fitting = [each for each in left if likely[row, each]]
        if row not in pairs and fitting:
            pairs[row] = fitting[0]
            left.remove(fitting[0])
    times: list[float | None] = [None] * len(kernels)
    last: int | None = None
    for row, op in enumerate(ops):
        last = pairs.get(row, last)
        if last is not None:
            times[last] = (times[last] or 0.0) + op.us
    return times


def _written(kernel: KernelCost) -> set[int]:
    """Return how many elements ``kernel`` writes, with and without those that fill its blocks up."""
    shape = kernel.out_shape
    sizes = {math.prod(shape)}
    if kernel.block:
        sizes.add(math.prod((shape[0], filled(shape[1], kernel.block), *shape[2:])))
    return sizes
