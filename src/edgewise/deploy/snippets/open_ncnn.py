"""The part of `predict.py` that opens a file of format `ncnn`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ncnn
import numpy as np


def open_model(path: str, precision: str) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]:  # noqa: ARG001
    """Return what turns prepared images into answers (N, num_classes)."""
    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)  # left alone, ncnn computes in half precision
    net.load_param(path)
    net.load_model(str(Path(path).with_suffix(".bin")))

    def run(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        answers = []
        for image in images:
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)))
            answers.append(np.array(extractor.extract("out0")[1]))
        return np.stack(answers)

    return run
