"""Weight-only int8 for ONNX files: nothing is calibrated, and all arithmetic stays in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 127
"""-128 is left out, so that a weight and its negative are rounded alike."""


def compress_weights(source: Path, target: Path) -> None:
    """Write ``source`` to ``target`` with the weights of convolutions and matrix products in int8, a scale per output channel.

    A Cast and a Mul bring them back. ONNX Runtime computes such constants once, when it loads the file; a DequantizeLinear it
    would keep and compute anew in each call.

    Args:
        source: an fp32 ONNX file.
        target: where to write; replaced if it exists.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(source)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    axes = dict(filter(None, (_weight_axis(node, weights) for node in graph.node)))
    restored = []
    for name, axis in axes.items():
        whole, scale = _rounded(numpy_helper.to_array(weights[name]), axis)
        graph.initializer.remove(weights[name])
        graph.initializer.append(numpy_helper.from_array(whole, f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}.scale"))
        restored += [
            onnx.helper.make_node("Cast", [f"{name}.int8"], [f"{name}.whole"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]),
        ]
    nodes = [*restored, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, target)


def _weight_axis(node: Any, weights: dict[str, Any]) -> tuple[str, int] | None:
    """Return the name of the constant weights of ``node`` and their axis of output channels; None where it has none."""
    import onnx

    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in weights:
        return None
    weight = weights[node.input[1]]
    if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
        return None
    is_transposed = any(each.name == "transB" and each.i for each in node.attribute)
    is_first = node.op_type == "Conv" or is_transposed
    return weight.name, 0 if is_first else len(weight.dims) - 1


def _rounded(values: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return ``values`` as whole numbers -127 to 127, and the scale per channel of ``axis`` that brings them back."""
    others = tuple(each for each in range(values.ndim) if each != axis)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
