"""How much each layer of an ONNX file loses when it alone is in int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgewise.deploy.onnx_layers import onnx_layers
from edgewise.deploy.quantise import prepare, quantised
from edgewise.deploy.sensitivity import compared_images, sqnr_db
from edgewise.records.artifact import LayerPrecision

BATCH = 8


def layer_sensitivities(source: Path, work: Path, *, calibration: Path) -> tuple[LayerPrecision, ...]:
    """Return each layer with its signal-to-noise ratio in dB: that of the logits with it alone in int8, against all in float.

    The ranges are calibrated once, for all layers.

    Args:
        source: an fp32 ONNX file with one input.
        work: the folder that `quantise.prepare` keeps its work in.
        calibration: a ``.npy`` file of normalised real images (N, C, H, W), float32.
    """
    model, ranges = prepare(source, work, calibration=calibration)
    images = compared_images(np.load(calibration, mmap_mode="r", allow_pickle=False))
    exact = _logits(model, images)
    return tuple(
        LayerPrecision(name=name, sqnr_db=sqnr_db(exact, _logits(quantised(model, ranges, only=nodes), images)))
        for name, nodes in onnx_layers(model.graph).items()
    )


def _logits(model: Any, images: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    (described,) = session.get_inputs()
    batch = described.shape[0] if isinstance(described.shape[0], int) else BATCH
    parts = [images[start : start + batch] for start in range(0, len(images) // batch * batch, batch)]
    return np.concatenate([session.run(None, {described.name: part})[0] for part in parts])
