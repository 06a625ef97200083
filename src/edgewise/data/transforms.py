"""From an image file to the network's input, the same in validation, prediction, calibration and verification."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from edgewise.data.decode import decode
from edgewise.errors import ConfigError
from edgewise.records.artifact import Interpolation, Preprocessing

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

SUPPORT = 2
"""Pixels on each side that the widest filter (bicubic) weighs, where it does not shrink; in proportion where it does."""

MAX_ASPECT = 32
"""Of longer images the crop alone is resized: it may differ by two levels from the same crop of the resized whole, which
would take gigabytes."""


class EvalTransform:
    """Resize the shorter side to `Preprocessing.resize_side` and cut out the centre: timm's evaluation, pixel for pixel.

    The pixels equal those of `timm.data.create_transform` on the image that Pillow decodes, after turning it by EXIF.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        """Prepare; one mean asks for grey images, three for RGB.

        Raises:
            ConfigError: another number of channels, which no image file has.
        """
        num_chs = len(preprocessing.mean)
        if num_chs not in {1, 3}:
            raise ConfigError(f"mean has {num_chs} values; image files give 1 channel (grey) or 3 (RGB)")
        self.is_grey = num_chs == 1
        self.img_size = preprocessing.img_size
        self.resize_side = preprocessing.resize_side
        self.interpolation: Interpolation = preprocessing.interpolation

    def __call__(self, content: bytes | NDArray[np.uint8]) -> torch.Tensor:
        """Return uint8 (C, S, S), not yet normalised.

        Args:
            content: an encoded image file, or decoded RGB pixels (H, W, 3).

        Raises:
            ImageError: ``content`` cannot be decoded.
        """
        pixels = decode(content) if isinstance(content, bytes) else content
        if self.is_grey:
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))
        height, width = pixels.shape[:2]
        if max(height, width) <= MAX_ASPECT * min(height, width):
            return to_tensor(resized_centre(pixels, self.resize_side, self.img_size, self.interpolation))
        box = centre_box(height, width, self.resize_side, self.img_size)
        return to_tensor(resized_box(pixels, box, self.img_size, self.interpolation))


def resized_centre(pixels: NDArray[np.uint8], resize_side: int, crop: int, interpolation: Interpolation) -> Image.Image:
    """Return the centre of an image after resizing its shorter side, exactly as resizing all of it and cropping would.

    Pillow resizes along the rows first, rounds to 8 bits, then along the columns. Both passes are done here as it does
    them, each without what the crop does not need. Resizing a box of the source instead would be cheaper still, but a
    box is stored in single precision, which moves some pixels by a level or two.

    Args:
        pixels: (H, W) or (H, W, 3).
        resize_side: what the shorter side becomes, in pixels; not smaller than ``crop``.
        crop: side of the square that is cut out.
        interpolation: of the antialiased resize.
    """
    height, width = pixels.shape[:2]
    new_height, new_width = _resized(height, width, resize_side)
    top, left = round((new_height - crop) / 2), round((new_width - crop) / 2)
    scale = height / new_height
    reach = SUPPORT * max(1.0, scale) + 1
    first, last = max(0, math.floor(top * scale - reach)), min(height, math.ceil((top + crop) * scale + reach))
    filter_ = RESAMPLING[interpolation]
    rows = Image.fromarray(np.ascontiguousarray(pixels[first:last]))
    across = rows.resize((new_width, last - first), filter_).crop((left, 0, left + crop, last - first))
    column = Image.new(across.mode, (crop, height))
    column.paste(across, (0, first))
    return column.resize((crop, new_height), filter_).crop((0, top, crop, top + crop))


def _resized(height: int, width: int, resize_side: int) -> tuple[int, int]:
    """Return (height, width) after the shorter side became ``resize_side``; the other is cut down, as torchvision does."""
    short = min(height, width)
    return resize_side * height // short, resize_side * width // short


def centre_box(height: int, width: int, resize_side: int, crop: int) -> tuple[float, float, float, float]:
    """Return the region (left, top, right, bottom) of an image that is left after resize and centre crop."""
    new_height, new_width = _resized(height, width, resize_side)
    top, left = round((new_height - crop) / 2), round((new_width - crop) / 2)
    y_scale, x_scale = height / new_height, width / new_width
    return left * x_scale, top * y_scale, (left + crop) * x_scale, (top + crop) * y_scale


def resized_box(
    pixels: NDArray[np.uint8], box: tuple[float, float, float, float], size: int, interpolation: Interpolation
) -> Image.Image:
    """Return the region ``box`` (left, top, right, bottom) of (H, W, 3) pixels as a square image, antialiased.

    At one price for any aspect ratio, and close to, not equal to, the same region of the resized whole.
    """
    left, top, right, bottom = box
    height, width = pixels.shape[:2]
    clipped = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    # Pillow copies what it is given: hand over no more than the filter can reach
    reach = (SUPPORT + 1) * max(1.0, (right - left) / size, (bottom - top) / size)
    x0, y0 = max(0, math.floor(clipped[0] - reach)), max(0, math.floor(clipped[1] - reach))
    x1, y1 = min(width, math.ceil(clipped[2] + reach)), min(height, math.ceil(clipped[3] + reach))
    image = Image.fromarray(np.ascontiguousarray(pixels[y0:y1, x0:x1]))
    moved = (clipped[0] - x0, clipped[1] - y0, clipped[2] - x0, clipped[3] - y0)
    return image.resize((size, size), RESAMPLING[interpolation], box=moved)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return a grey or RGB image as uint8 (C, H, W)."""
    return torch.from_numpy(np.atleast_3d(np.array(image)).transpose(2, 0, 1).copy())
