"""Which families cannot be written in which formats, which precisions are left out of which, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXCEPTIONS: Mapping[tuple[str, str], str] = MappingProxyType({})
"""(family, format) and the reason, as a user reads it; all other pairs work. `benchmarks/export_matrix.py` tries them all, its record
is `results/export_matrix.json`, and a test holds the two together."""

LEFT_OUT: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("mlpackage", "int8"): "coremltools calibrates activations by running the package, which macOS alone does",
        (
            "ncnn",
            "int8",
        ): "ncnn's tools calibrate on picture files with a preparation of their own, which need not be the model's",
        ("ncnn", "int8-weights"): "ncnn's convolutions take int8 weights with int8 activations alone",
        ("pte", "int8-weights"): "XNNPACK has no convolution with int8 weights and float activations",
        (
            "onnx",
            "fp16",
        ): "ONNX Runtime's CPU computes fp16 in float32 with a conversion around each operator, which is slower",
    }
)
"""(format, precision) and the reason, as a user reads it."""
