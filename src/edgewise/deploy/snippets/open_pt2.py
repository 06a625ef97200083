"""The part of `predict.py` that opens a file of format `pt2`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def open_model(path: str, precision: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:  # noqa: ARG001
    """Return what turns prepared images into answers (N, num_classes)."""
    model = torch.export.load(path).module()

    def run(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with torch.inference_mode():
            logits: np.ndarray[Any, Any] = model(torch.from_numpy(images)).numpy()
        return logits

    return run
