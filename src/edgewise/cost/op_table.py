"""The operator table: of what kind each operator is, and how many multiply-accumulates one call of it does.

An operator of a kind that multiplies has a rule; those of the other kinds multiply nothing that the field counts, and cost what
they move. Operators that stand nowhere here are *unknown*: they are listed in the report, never counted as 0.

Names are those that torch's dispatcher sees in a forward pass without gradients (`graph.trace`): `F.linear` is there an ``addmm`` or
``mm``, an einsum or a matmul is ``bmm``, and attention is one operator on a CPU and two ``bmm`` with a softmax on meta.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from edgewise.cost.macs import conv_macs, matmul_macs
from edgewise.graph.trace import Call
from edgewise.records.cost import OpKind

Rule = Callable[[Call], int]


def _conv(call: Call) -> int:
    image, weight = call.inputs[0], call.inputs[1]
    return conv_macs(weight.shape, image.shape if _is_transposed(call) else call.outputs[0].shape)


def _matmul(call: Call) -> int:
    return matmul_macs(call.inputs[0].shape, call.outputs[0].shape)


def _addmm(call: Call) -> int:
    """Count ``c + a @ b``."""
    return matmul_macs(call.inputs[1].shape, call.outputs[0].shape)


def attention_macs(call: Call) -> int:
    """Return both matmuls of scaled dot-product attention on (…, L, k), (…, M, k), (…, M, v)."""
    query, key, value = call.inputs[:3]
    return query.numel * key.shape[-2] + math.prod(query.shape[:-1]) * key.shape[-2] * value.shape[-1]


def attention_elements(call: Call) -> int:
    """Return what both matmuls of attention write: the scores (…, L, M) and the output (…, L, v)."""
    query, key, value = call.inputs[:3]
    return math.prod(query.shape[:-1]) * (key.shape[-2] + value.shape[-1])


MACS: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "aten.convolution": _conv,
        "aten.linear": _matmul,
        "aten.mm": _matmul,
        "aten.mv": _matmul,
        "aten.bmm": _matmul,
        "aten.addmm": _addmm,
        "aten.addmv": _addmm,
        "aten.baddbmm": _addmm,
        "aten.dot": lambda call: call.inputs[0].numel,
        "aten.scaled_dot_product_attention": attention_macs,
        "aten._scaled_dot_product_cudnn_attention": attention_macs,
        "aten._scaled_dot_product_efficient_attention": attention_macs,
        "aten._scaled_dot_product_flash_attention": attention_macs,
        "aten._scaled_dot_product_flash_attention_for_cpu": attention_macs,
        "aten._scaled_dot_product_fused_attention_overrideable": attention_macs,
    }
)
"""Multiply-accumulates of one call, for all operators that do any."""

NORMS = (
    "_batch_norm_no_update",
    "_fused_rms_norm",
    "_native_batch_norm_legit",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "native_batch_norm",
    "native_group_norm",
    "native_layer_norm",
)
ACTIVATIONS = (
    "_prelu_kernel",
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_sigmoid_forward",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softshrink",
    "tanh",
    "threshold",
)
ELEMENTWISE = (
    "abs",
    "add",
    "addcdiv",
    "addcmul",
    "atan2",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "ceil",
    "clamp",
    "clamp_max",
    "clamp_min",
    "copysign",
    "cos",
    "div",
    "eq",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "floor_divide",
    "fmod",
    "ge",
    "gt",
    "isinf",
    "isnan",
    "le",
    "lerp",
    "log",
    "log1p",
    "log2",
    "logical_and",
    "logical_not",
    "logical_or",
    "lt",
    "masked_fill",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "neg",
    "pow",
    "reciprocal",
    "remainder",
    "round",
    "rsqrt",
    "rsub",
    "sgn",
    "sign",
    "sin",
    "sqrt",
    "square",
    "sub",
    "tan",
    "trunc",
    "where",
)
SOFTMAXES = ("_log_softmax", "_safe_softmax", "_softmax")
POOLS = (
    "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d",
    "adaptive_avg_pool1d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
)
REDUCTIONS = (
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "cumsum",
    "linalg_vector_norm",
    "logsumexp",
    "max",
    "mean",
    "min",
    "norm",
    "prod",
    "sort",
    "std",
    "std_mean",
    "sum",
    "topk",
    "var",
    "var_mean",
)
RESIZES = (
    "_upsample_bicubic2d_aa",
    "_upsample_bilinear2d_aa",
    "_upsample_nearest_exact2d",
    "grid_sampler_2d",
    "upsample_bicubic2d",
    "upsample_bilinear2d",
    "upsample_linear1d",
    "upsample_nearest1d",
    "upsample_nearest2d",
)
MOVES = (
    "cat",
    "channel_shuffle",
    "col2im",
    "constant_pad_nd",
    "copy_",
    "embedding",
    "fill",
    "flip",
    "gather",
    "im2col",
    "index",
    "index_copy",
    "index_put",
    "index_select",
    "native_channel_shuffle",
    "pixel_shuffle",
    "pixel_unshuffle",
    "reflection_pad1d",
    "reflection_pad2d",
    "repeat",
    "replication_pad2d",
    "roll",
    "scatter",
    "scatter_add",
    "select_scatter",
    "slice_scatter",
    "stack",
    "take",
    "tril",
    "triu",
    "zero",
)
"""Operators that only carry elements from one place to another."""

COPIES = ("_to_copy", "clone", "contiguous", "lift_fresh_copy")
"""Copies that a runtime needs only where what it copies was turned or broadcast."""

TURNS = ("permute", "t", "transpose")
"""Views with another order of the elements: nothing to torch, a copy to most runtimes."""

CUTS = (
    "as_strided",
    "chunk",
    "diagonal",
    "narrow",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "unbind",
    "unfold",
)
"""Views of a part: nothing to torch, a copy to most runtimes."""

VIEWS = (
    "_conj",
    "_reshape_alias",
    "_unsafe_view",
    "alias",
    "detach",
    "expand",
    "lift_fresh",
    "reshape",
    "squeeze",
    "unsqueeze",
    "view",
    "view_as_complex",
    "view_as_real",
)
"""Views that are nothing to a runtime either."""

CONSTANTS = (
    "arange",
    "empty",
    "empty_like",
    "empty_strided",
    "eye",
    "full",
    "full_like",
    "linspace",
    "new_empty",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones",
    "ones_like",
    "scalar_tensor",
    "zeros",
    "zeros_like",
)
CHECKS = (
    "_linalg_check_errors",
    "_assert_async",
    "_assert_scalar",
    "_assert_tensor_metadata",
    "sym_constrain_range_for_size",
)

_KINDS: Final[tuple[tuple[OpKind, tuple[str, ...]], ...]] = (
    ("norm", NORMS),
    ("activation", ACTIVATIONS),
    ("elementwise", ELEMENTWISE),
    ("softmax", SOFTMAXES),
    ("pool", POOLS),
    ("reduce", REDUCTIONS),
    ("resize", RESIZES),
    ("move", MOVES),
    ("copy", COPIES),
    ("turn", TURNS),
    ("cut", CUTS),
    ("view", VIEWS),
    ("constant", CONSTANTS),
    ("check", CHECKS),
)
KINDS: Final[Mapping[str, OpKind]] = MappingProxyType(
    {f"aten.{name}": kind for kind, names in _KINDS for name in names}
)
"""Kind of each operator that does no multiply-accumulates; one that overwrites its input (``relu_``) is of the same."""


def kind_of(call: Call) -> OpKind | None:
    """Return what sort of operator ``call`` is; None where it is unknown."""
    if call.op == "aten.convolution":
        return _conv_kind(call)
    if call.op in MACS:
        if call.op.endswith("_attention") or "_attention_" in call.op:
            return "attention"
        return "linear" if any(each.fixed for each in call.inputs) else "matmul"
    return KINDS.get(call.op) or KINDS.get(call.op.removesuffix("_"))


def macs_of(call: Call) -> int:
    """Return the multiply-accumulates of ``call``; 0 where its kind does none."""
    rule = MACS.get(call.op)
    return rule(call) if rule is not None else 0


def activations_of(call: Call) -> int:
    """Return the output elements of an operator that multiplies, as papers count activations; 0 of any other."""
    if call.op not in MACS:
        return 0
    return attention_elements(call) if kind_of(call) == "attention" else call.outputs[0].numel


def _is_transposed(call: Call) -> bool:
    return len(call.args) > 6 and bool(call.args[6])


def _conv_kind(call: Call) -> OpKind:
    image, weight = call.inputs[0], call.inputs[1]
    groups = int(call.args[8]) if len(call.args) > 8 else 1
    if groups > 1:
        return "depthwise" if groups == image.shape[1] and not _is_transposed(call) else "grouped"
    return "pointwise" if math.prod(weight.shape[2:]) == 1 else "conv"
