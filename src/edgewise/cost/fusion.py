"""What each runtime runs as one kernel: stated here, so that bytes mean something.

A convolution, a linear layer or a matmul takes along the batch norm behind it in every model but ``eager``, and what its row says besides.
Constants (anything computed from weights alone) are held in the file. Reshapes cost nothing; transposes, slices,
splits and concatenations copy, which is what runtimes do whose tensors are dense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from edgewise.errors import unknown_name

CLAMPS: Final = frozenset({"relu", "relu6", "hardtanh"})
ALL_ACTIVATIONS: Final = CLAMPS | {
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "leaky_relu",
    "mish",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionModel:
    """Which operators join the kernel that makes their input, and how a planner lays out what is alive."""

    source: str
    """Where the rules come from."""
    folds_norms: bool = True
    """Batch norms, and additions and multiplications of constants per channel, go into the weights before them."""
    activations: frozenset[str] = frozenset()
    """Functions that join a convolution, linear layer or matmul."""
    joins_elementwise: bool = False
    """Whether they join additions, multiplications and poolings too."""
    joins_residual: bool = False
    """Whether an addition of two activations joins the later one of the convolutions that made them."""
    views_are_free: bool = False
    """Whether transposes and slices are views; explicit copies (``contiguous``) then are none."""
    keeps_input: bool = False
    """Whether the input's memory is never given to another tensor."""
    turns_input: bool = False
    """Whether the input (N, C, H, W) is copied to (N, H, W, C) first."""
    pads_apart: bool = False
    """Whether a convolution whose padding is not TensorFlow's SAME reads a padded copy of its input."""
    unrolls_windows: bool = False
    """Whether a dense convolution with a window or a stride writes all windows side by side first (im2col)."""
    overwrites: frozenset[str] = frozenset()
    """Operators that write over their first input where nothing reads it later."""
    scratch: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Tensors of the output's size that an operator needs while it runs, beside its input and output."""


FUSIONS: Final[Mapping[str, FusionModel]] = MappingProxyType(
    {
        "generic": FusionModel(
            source="MobileNetV4, arXiv 2404.10518, section 3: weights, inputs and outputs of every convolution, matmul, addition "
            "and pooling; norms and activation functions are free",
            activations=ALL_ACTIVATIONS,
            joins_elementwise=True,
        ),
        "eager": FusionModel(
            source="PyTorch without a compiler: every operator by itself", folds_norms=False, views_are_free=True
        ),
        "onnxruntime": FusionModel(
            source="onnxruntime/core/optimizer: conv_bn_fusion, conv_mul_fusion, conv_add_fusion, conv_activation_fusion, "
            "nchwc_transformer",
            activations=CLAMPS | {"hardsigmoid", "leaky_relu", "sigmoid", "tanh"},
            joins_residual=True,
        ),
        "openvino": FusionModel(
            source="openvino/src/plugins/intel_cpu/src/graph_optimizer.cpp: FuseConvolutionAndSimpleOperation, "
            "FuseConvolutionSumAndConvolutionSumActivation",
            activations=ALL_ACTIVATIONS,
            joins_residual=True,
        ),
        "litert": FusionModel(
            source="tensorflow/compiler/mlir/lite/transforms/optimize.cc (fused_activation_function); "
            "arena and kernels without a delegate, one thread: tensorflow/lite/arena_planner.cc, kernels/conv.cc",
            activations=CLAMPS,
            joins_elementwise=True,
            keeps_input=True,
            turns_input=True,
            pads_apart=True,
            unrolls_windows=True,
            overwrites=frozenset({"add"}),
        ),
        "executorch": FusionModel(
            source="executorch/backends/xnnpack: clamps join the operator before them",
            activations=CLAMPS,
            joins_elementwise=True,
        ),
        "executorch-portable": FusionModel(
            source="executorch/exir without a delegate: core ATen operators one by one; hardswish, hardsigmoid and SiLU are decomposed",
            scratch=MappingProxyType({"hardswish": 1, "hardsigmoid": 0, "silu": 1}),
        ),
    }
)


def find_fusion(name: str) -> FusionModel:
    """Return the fusion model called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in FUSIONS:
        raise unknown_name("fusion model", name, FUSIONS)
    return FUSIONS[name]
