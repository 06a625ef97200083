"""From an image file to the network's input, the same in validation, prediction, calibration and verification."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from edgewise.data.decode import decode
from edgewise.records.artifact import Interpolation, Preprocessing

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

_DECODE_MARGIN = 2
"""JPEGs are decoded at twice the size that is needed or more, so that the antialiased resize decides how it looks."""


class EvalTransform:
    """Resize the shorter side to ``round(img_size / crop_pct)`` and cut out the centre, as `Preprocessing` says."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.img_size = preprocessing.img_size
        self.resize_side = max(round(preprocessing.img_size / preprocessing.crop_pct), preprocessing.img_size)
        self.interpolation: Interpolation = preprocessing.interpolation

    def __call__(self, content: bytes | NDArray[np.uint8]) -> torch.Tensor:
        """Return uint8 (3, S, S), not yet normalised.

        Args:
            content: an encoded image file, or decoded RGB pixels (H, W, 3).

        Raises:
            ImageError: ``content`` cannot be decoded.
        """
        if isinstance(content, bytes):
            content = decode(content, min_side=_DECODE_MARGIN * self.resize_side)
        height, width = content.shape[:2]
        box = centre_box(height, width, self.resize_side, self.img_size)
        return to_tensor(resized_box(content, box, self.img_size, self.interpolation))


def centre_box(height: int, width: int, resize_side: int, crop: int) -> tuple[float, float, float, float]:
    """Return the region (left, top, right, bottom) of an image that is left after resize and centre crop.

    Resizing only this region gives the same pixels as resizing all and cropping, at one price for any aspect ratio.
    """
    short = min(height, width)
    new_height, new_width = resize_side * height // short, resize_side * width // short
    top, left = round((new_height - crop) / 2), round((new_width - crop) / 2)
    y_scale, x_scale = height / new_height, width / new_width
    return left * x_scale, top * y_scale, (left + crop) * x_scale, (top + crop) * y_scale


def resized_box(
    pixels: NDArray[np.uint8], box: tuple[float, float, float, float], size: int, interpolation: Interpolation
) -> Image.Image:
    """Return the region ``box`` (left, top, right, bottom) of (H, W, 3) pixels as a square image, antialiased."""
    left, top, right, bottom = box
    height, width = pixels.shape[:2]
    clipped = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    # Pillow copies what it is given: hand over no more than the filter can reach (two pixels, scaled)
    reach = 3 * max(1.0, (right - left) / size, (bottom - top) / size)
    x0, y0 = max(0, math.floor(clipped[0] - reach)), max(0, math.floor(clipped[1] - reach))
    x1, y1 = min(width, math.ceil(clipped[2] + reach)), min(height, math.ceil(clipped[3] + reach))
    image = Image.fromarray(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
    moved = (clipped[0] - x0, clipped[1] - y0, clipped[2] - x0, clipped[3] - y0)
    return image.resize((size, size), RESAMPLING[interpolation], box=moved)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return an RGB image as uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image).transpose(2, 0, 1).copy())
