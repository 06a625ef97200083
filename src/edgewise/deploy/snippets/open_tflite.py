"""The part of `predict.py` that opens a file of format `tflite`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def open_model(path: str, precision: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:  # noqa: ARG001
    """Return what turns prepared images into answers (N, num_classes)."""
    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    first, last = (ports[0]["index"] for ports in (interpreter.get_input_details(), interpreter.get_output_details()))

    def run(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        interpreter.set_tensor(first, images)
        interpreter.invoke()
        logits: np.ndarray[Any, Any] = interpreter.get_tensor(last)
        return logits

    return run
