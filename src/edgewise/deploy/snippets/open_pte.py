"""The part of `predict.py` that opens a file of format `pte`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from executorch.runtime import Runtime


def open_model(path: str, precision: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:  # noqa: ARG001
    """Return what turns prepared images into answers (N, num_classes)."""
    program = Runtime.get().load_program(path)
    method = program.load_method("forward")
    return lambda images: method.execute([torch.from_numpy(images)])[0].numpy()
