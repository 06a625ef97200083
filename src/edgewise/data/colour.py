"""Any of Pillow's pixel modes to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a loaded image as (H, W, 3).

    16-bit grey is scaled, not clipped; alpha, also of palettes, is laid over white; a CMYK JPEG without Adobe's mark is
    taken as it is, with the mark as inverted. ICC profiles are ignored.
    """
    if image.mode.startswith("I") or image.mode == "F":
        grey = _wide_grey(np.asarray(image))
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "CMYK" and image.format in {"JPEG", "MPO"} and "adobe" not in image.info:
        image = ImageChops.invert(image)  # Pillow takes every CMYK JPEG for an inverted one
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        paper = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(paper, rgba)
    return np.array(image.convert("RGB"))


def _wide_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale 16-bit integers, or floats in 0-1 or 0-255, to 8 bits."""
    wide = np.nan_to_num(values.astype(np.float32))
    if np.issubdtype(values.dtype, np.integer):
        wide = wide / 257.0
    elif wide.size and wide.max() <= 1.0:
        wide = wide * 255.0
    return np.clip(np.rint(wide), 0, 255).astype(np.uint8)
