"""What each runtime runs as one kernel: stated here, so that bytes mean something.

A convolution, a linear layer or a matmul takes along the batch norm behind it in every model but ``eager``, and what its row says besides.
Constants (anything computed from weights alone) are held in the file. Reshapes cost nothing; transposes, slices,
splits and concatenations copy, which is what runtimes do whose tensors are dense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    joins_pads: bool = False
    """Whether zeros around a map that only convolutions read become their padding."""
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
    block: int = 0
    """Channels of a block of the maps that convolutions compute in; 0 where all maps are plain."""
    scratch: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Tensors of the output's size that an operator needs while it runs, beside its input and output."""


ONNXRUNTIME: Final = FusionModel(
    source="optimised graphs of ONNX Runtime 1.31 on x86; tests/facts/test_fusion_models.py",
    activations=CLAMPS | {"hardsigmoid", "hardswish", "leaky_relu", "sigmoid", "tanh"},
    joins_pads=True,
    joins_residual=True,
)
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
        "onnxruntime": ONNXRUNTIME,
        "onnxruntime-nchw8c": replace(ONNXRUNTIME, block=8),
        "onnxruntime-nchw16c": replace(ONNXRUNTIME, block=16),
        "openvino": FusionModel(
            source="runtime models of OpenVINO 2026.4 on x86; tests/facts/test_fusion_models.py",
            activations=ALL_ACTIVATIONS - {"hardsigmoid", "softplus"},
            joins_pads=True,
            joins_residual=True,
        ),
        "litert": FusionModel(
            source="operators and arenas of files of litert-torch 0.10, without a delegate, one thread; results/peak_memory.json",
            activations=CLAMPS,
            joins_elementwise=True,
            keeps_input=True,
            turns_input=True,
            pads_apart=True,
            unrolls_windows=True,
            overwrites=frozenset({"add"}),
        ),
        "executorch": FusionModel(
            source="XNNPACK's operators have an output range and no other activation function; not measured",
            activations=CLAMPS,
            joins_elementwise=True,
        ),
        "executorch-portable": FusionModel(
            source="memory plans of ExecuTorch 1.5 without a delegate: core ATen operators one by one, h-swish and SiLU decomposed; "
            "results/peak_memory.json",
            scratch=MappingProxyType({"hardswish": 1, "silu": 1}),
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
