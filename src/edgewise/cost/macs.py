"""Multiply-accumulates by shapes: what torch's operators and ONNX's nodes have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence

Shape = Sequence[int]


def conv_macs(weight: Shape, far_end: Shape) -> int:
    """Return the elements of ``far_end`` x the weights that each of them meets; padding is counted as if it held data, as everyone does.

    Args:
        weight: (out, in / groups, …); of a transposed convolution (in, out / groups, …).
        far_end: the output; of a transposed convolution the input.
    """
    return math.prod(far_end) * math.prod(weight[1:])


def matmul_macs(left: Shape, output: Shape) -> int:
    """Return output elements x contracted length of ``left @ right``, for any batch dimensions."""
    return math.prod(output) * left[-1]
