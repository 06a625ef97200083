"""What a bare ONNX file multiplies and moves, read from the file; nothing where that cannot be told for sure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from edgewise.cost.limit import Work
from edgewise.cost.macs import conv_macs, matmul_macs

Shape = tuple[int, ...]

OPERANDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "Conv": (0, 1),
        "ConvInteger": (0, 1),
        "QLinearConv": (0, 3),
        "ConvTranspose": (0, 1),
        "Gemm": (0, 1),
        "MatMul": (0, 1),
        "MatMulInteger": (0, 1),
        "QLinearMatMul": (0, 3),
    }
)
"""Operators that multiply, with the places of their two operands."""
FREE: Final = frozenset({
    "Abs", "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Expand",
    "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "GlobalAveragePool", "GlobalMaxPool",
    "Greater", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization",
    "LayerNormalization", "LeakyRelu", "Less", "Log", "LogSoftmax", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg",
    "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean",
    "ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "ScatterND", "Shape", "Sigmoid", "Sign",
    "SimplifiedLayerNormalization", "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
"""Operators whose arithmetic nobody counts; any other one leaves the file uncounted."""


def onnx_work(path: Path, input_shape: Sequence[int]) -> Work | None:
    """Count one call of an ONNX file.

    Args:
        path: a file that was checked before.
        input_shape: of the first input, in a call; it fills the sizes that the file leaves open.

    Returns:
        None where an operator is unknown, or a size cannot be inferred: no count is better than a wrong one.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    weights = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if not inputs or model.functions or not all(_is_known(node) for node in graph.node):
        return None
    _fix_shape(inputs[0], input_shape)
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (RuntimeError, ValueError):
        return None
    shapes = {value.name: _shape(value) for value in (*graph.input, *graph.value_info, *graph.output)} | weights
    macs = [_macs(node, shapes) for node in graph.node if node.op_type in OPERANDS]
    ends = [_bytes(value, shapes) for value in (*inputs, *graph.output)]
    precision = _precision(graph)
    if None in macs or None in ends or precision is None:
        return None
    held = sum(math.prod(tensor.dims) * _itemsize(tensor.data_type) for tensor in graph.initializer)
    return Work(
        macs=sum(filter(None, macs)), weight_bytes=int(held), io_bytes=sum(filter(None, ends)), precision=precision
    )


def _is_known(node: Any) -> bool:
    return node.domain in ("", "ai.onnx") and (node.op_type in OPERANDS or node.op_type in FREE)


def _precision(graph: Any) -> str | None:
    """Return what a file multiplies in: int8 where it quantises anything, else what its largest weights are; None for others."""
    import onnx

    if any("Integer" in node.op_type or node.op_type.startswith(("QLinear", "QuantizeLinear")) for node in graph.node):
        return "int8"
    largest = max(graph.initializer, key=lambda tensor: math.prod(tensor.dims), default=None)
    kinds = {
        onnx.TensorProto.FLOAT: "fp32",
        onnx.TensorProto.FLOAT16: "fp16",
        onnx.TensorProto.BFLOAT16: "bf16",
        # brought back before they are multiplied with
        onnx.TensorProto.INT8: "fp32",
        onnx.TensorProto.UINT8: "fp32",
    }
    return "fp32" if largest is None else kinds.get(largest.data_type)


def _fix_shape(value: Any, shape: Sequence[int]) -> None:
    dims = value.type.tensor_type.shape.dim
    if len(dims) == len(shape):
        for dim, size in zip(dims, shape, strict=True):
            dim.dim_value = size


def _macs(node: Any, shapes: Mapping[str, Shape | None]) -> int | None:
    left, right = (shapes.get(node.input[place]) for place in OPERANDS[node.op_type])
    output = shapes.get(node.output[0])
    if left is None or right is None or output is None:
        return None
    if node.op_type == "ConvTranspose":
        return conv_macs(right, left)
    if "Conv" in node.op_type:
        return conv_macs(right, output)
    is_turned = any(each.name == "transA" and each.i for each in node.attribute)
    return matmul_macs(left[::-1] if is_turned else left, output)


def _bytes(value: Any, shapes: Mapping[str, Shape | None]) -> int | None:
    shape = shapes.get(value.name)
    return None if shape is None else int(math.prod(shape) * _itemsize(value.type.tensor_type.elem_type))


def _shape(value: Any) -> Shape | None:
    dims = value.type.tensor_type.shape.dim
    if not value.type.tensor_type.HasField("shape") or not all(dim.HasField("dim_value") for dim in dims):
        return None
    return tuple(dim.dim_value for dim in dims)


def _itemsize(elem_type: int) -> int:
    import onnx

    return int(onnx.helper.tensor_dtype_to_np_dtype(elem_type).itemsize)
