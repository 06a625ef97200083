"""The part of `predict.py` that opens a file of format `mlpackage`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import coremltools
import numpy as np


def open_model(path: str, precision: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:  # noqa: ARG001
    """Return what turns prepared images into answers (N, num_classes); on macOS alone."""
    model = coremltools.models.MLModel(path)
    return lambda images: next(iter(model.predict({"images": images}).values()))
