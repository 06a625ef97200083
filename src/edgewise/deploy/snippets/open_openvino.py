"""The part of `predict.py` that opens a file of format `openvino`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino


def open_model(path: str, precision: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:
    """Return what turns prepared images into answers (N, num_classes)."""
    # left alone, OpenVINO takes bf16 wherever the processor has it
    hint = "bf16" if precision == "bf16" else "f32"
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return lambda images: model([images])[0]
