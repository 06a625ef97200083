"""Small images for the tests of this folder."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def noise(seed: int, height: int = 20, width: int = 24) -> np.ndarray:
    """Smooth noise that JPEG keeps well."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return buffer.getvalue()
