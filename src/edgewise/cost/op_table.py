"""The operator table: what one call of each operator costs.

An operator is *ruled* (a function gives its multiply-accumulates), *declared free* (it multiplies nothing that the field counts)
or *unknown*; unknown ones are listed in the report, never counted as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

Shape = tuple[int, ...]
Rule = Callable[[Sequence[Shape], Shape], int]


def conv_macs(inputs: Sequence[Shape], output: Shape) -> int:
    """Return output elements x weights per output channel; padding is counted as if it held data, as everyone does."""
    weight = inputs[1]
    return math.prod(output) * math.prod(weight[1:])


def conv_transpose_macs(inputs: Sequence[Shape], _output: Shape) -> int:
    """Return input elements x weights per input channel."""
    return math.prod(inputs[0]) * math.prod(inputs[1][1:])


def linear_macs(inputs: Sequence[Shape], output: Shape) -> int:
    """Return output elements x input features."""
    return math.prod(output) * inputs[0][-1]


def matmul_macs(inputs: Sequence[Shape], output: Shape) -> int:
    """Return output elements x contracted length, for any batch dimensions."""
    return math.prod(output) * inputs[0][-1]


def addmm_macs(inputs: Sequence[Shape], output: Shape) -> int:
    """Return output elements x contracted length of ``bias + a @ b``."""
    return math.prod(output) * inputs[1][-1]


def attention_macs(inputs: Sequence[Shape], output: Shape) -> int:
    """Return both matmuls of scaled dot-product attention on (…, L, k), (…, M, k), (…, M, v)."""
    query, key = inputs[0], inputs[1]
    num_keys = key[-2]
    return math.prod(output) * num_keys + math.prod(query[:-1]) * query[-1] * num_keys


def output_elements(_inputs: Sequence[Shape], output: Shape) -> int:
    """Return the elements that an operator writes."""
    return math.prod(output)


def attention_elements(inputs: Sequence[Shape], output: Shape) -> int:
    """Return what both matmuls of attention write: the scores (…, L, M) and the output."""
    return math.prod(output[:-1]) * inputs[1][-2] + math.prod(output)


@dataclass(frozen=True, slots=True)
class OpRule:
    """What one call of an operator costs, from the shapes of its inputs and its output."""

    macs: Rule
    activations: Rule = output_elements


RULES: Mapping[str, OpRule] = MappingProxyType(
    {
        "aten.conv1d": OpRule(conv_macs),
        "aten.conv2d": OpRule(conv_macs),
        "aten.conv3d": OpRule(conv_macs),
        "aten.conv_transpose2d": OpRule(conv_transpose_macs),
        "aten.linear": OpRule(linear_macs),
        "aten.matmul": OpRule(matmul_macs),
        "aten.mm": OpRule(matmul_macs),
        "aten.bmm": OpRule(matmul_macs),
        "aten.addmm": OpRule(addmm_macs),
        "aten.scaled_dot_product_attention": OpRule(attention_macs, attention_elements),
    }
)

NORMS_AND_ACTIVATIONS = (
    "batch_norm",
    "layer_norm",
    "group_norm",
    "relu",
    "relu_",
    "relu6",
    "relu6_",
    "hardtanh",
    "hardtanh_",
    "gelu",
    "silu",
    "silu_",
    "hardswish",
    "hardswish_",
    "hardsigmoid",
    "hardsigmoid_",
    "sigmoid",
    "tanh",
    "leaky_relu",
    "leaky_relu_",
    "prelu",
    "elu",
    "softmax",
    "log_softmax",
    "softplus",
    "mish",
    "celu",
    "instance_norm",
    "rms_norm",
    "linalg_vector_norm",
)
POOLING_AND_ARITHMETIC = (
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "max_pool2d",
    "upsample_nearest2d",
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "_upsample_bicubic2d_aa",
    "mean",
    "var",
    "std",
    "max",
    "cumsum",
    "sum",
    "amax",
    "add",
    "add_",
    "sub",
    "mul",
    "mul_",
    "div",
    "div_",
    "neg",
    "pow",
    "sqrt",
    "rsqrt",
    "exp",
    "sin",
    "cos",
    "square",
    "sub_",
    "rsub",
    "clamp",
    "clamp_",
    "clamp_min",
    "bitwise_not",
    "addcmul",
    "maximum",
    "minimum",
    "abs",
)
MOVES = (
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "permute",
    "transpose",
    "t",
    "reshape_as",
    "view_as",
    "expand",
    "expand_as",
    "repeat",
    "repeat_interleave",
    "tile",
    "type_as",
    "copy_",
    "one_hot",
    "meshgrid",
    "unfold",
    "im2col",
    "col2im",
    "index",
    "narrow",
    "movedim",
    "flip",
    "arange",
    "zeros",
    "ones",
    "zeros_like",
    "ones_like",
    "pixel_shuffle",
    "pixel_unshuffle",
    "squeeze",
    "unsqueeze",
    "cat",
    "stack",
    "split",
    "chunk",
    "slice",
    "select",
    "contiguous",
    "clone",
    "detach",
    "alias",
    "to",
    "_to_copy",
    "dropout",
    "dropout_",
    "feature_dropout",
    "pad",
    "constant_pad_nd",
    "roll",
    "unbind",
    "split_with_sizes",
    "sym_size",
    "_assert_tensor_metadata",
    "lift_fresh_copy",
    "detach_",
)
FREE: frozenset[str] = frozenset(f"aten.{name}" for name in NORMS_AND_ACTIVATIONS + POOLING_AND_ARITHMETIC + MOVES)


def is_free(op: str) -> bool:
    """Return whether ``op`` (``aten.relu``, without overload) was declared free."""
    return op in FREE
