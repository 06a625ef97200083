"""How much each layer of an ONNX file loses when it alone is in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise.deploy.onnx_layers import onnx_layers
from edgewise.deploy.quantise import prepare, quantised
from edgewise.records.artifact import LayerPrecision

NUM_IMAGES = 64
"""Calibration images whose logits are compared."""
BATCH = 8
MOST_DB = 120.0
"""What a layer without any loss is given; float32 itself does not reach it."""


def layer_sensitivities(source: Path, work: Path, *, calibration: Path) -> tuple[LayerPrecision, ...]:
    """Return each layer with its signal-to-noise ratio in dB: that of the logits with it alone in int8, against all in float.

    The ranges are calibrated once, for all layers.

    Args:
        source: an fp32 ONNX file with one input.
        work: the folder that `quantise.prepare` keeps its work in.
        calibration: a ``.npy`` file of normalised real images (N, C, H, W), float32.
    """
    model, ranges = prepare(source, work, calibration=calibration)
    images: NDArray[np.float32] = np.load(calibration, mmap_mode="r", allow_pickle=False)
    spread = np.array(images[np.linspace(0, len(images) - 1, min(NUM_IMAGES, len(images))).round().astype(int)])
    exact = _logits(model, spread)
    return tuple(
        LayerPrecision(name=name, sqnr_db=sqnr_db(exact, _logits(quantised(model, ranges, only=nodes), spread)))
        for name, nodes in onnx_layers(model.graph).items()
    )


def sqnr_db(exact: NDArray[np.float32], given: NDArray[np.float32]) -> float:
    """Return the power of ``exact`` over that of the difference, in dB; at most 120."""
    signal = np.square(exact, dtype=np.float64).sum()
    noise = np.square(given.astype(np.float64) - exact).sum()
    return float(10 * np.log10(signal / max(noise, signal * 10 ** (-MOST_DB / 10)))) if signal > 0 else 0.0


def _logits(model: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    (described,) = session.get_inputs()
    batch = described.shape[0] if isinstance(described.shape[0], int) else BATCH
    parts = [images[start : start + batch] for start in range(0, len(images) // batch * batch, batch)]
    return np.concatenate([session.run(None, {described.name: part})[0] for part in parts])
