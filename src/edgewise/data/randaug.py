"""RandAugment's fourteen operations on Pillow images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

MEAN_GREY = (124, 116, 104)
"""ImageNet's mean colour; fills what an operation leaves bare."""

MAX_MAGNITUDE = 30
"""The paper's scale."""

Operation = Callable[[Image.Image, float], Image.Image]
"""(image, strength); strength is 0-1, and negative to act the other way where an operation has two ways."""


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.NEAREST, fillcolor=MEAN_GREY
    )


def _identity(image: Image.Image, _: float) -> Image.Image:
    return image


def _shear_x(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, (1, 0.3 * strength, 0, 0, 1, 0))


def _shear_y(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, (1, 0, 0, 0.3 * strength, 1, 0))


def _translate_x(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, (1, 0, round(150 / 331 * image.width * strength), 0, 1, 0))


def _translate_y(image: Image.Image, strength: float) -> Image.Image:
    return _affine(image, (1, 0, 0, 0, 1, round(150 / 331 * image.height * strength)))


def _rotate(image: Image.Image, strength: float) -> Image.Image:
    return image.rotate(30 * strength, resample=Image.Resampling.NEAREST, fillcolor=MEAN_GREY)


def _brightness(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1 + 0.9 * strength)


def _colour(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(1 + 0.9 * strength)


def _contrast(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1 + 0.9 * strength)


def _sharpness(image: Image.Image, strength: float) -> Image.Image:
    return ImageEnhance.Sharpness(image).enhance(1 + 0.9 * strength)


def _posterize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(image, 8 - round(4 * abs(strength)))


def _solarize(image: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(image, round(255 * (1 - abs(strength))))


def _auto_contrast(image: Image.Image, _: float) -> Image.Image:
    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, _: float) -> Image.Image:
    return ImageOps.equalize(image)


OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "brightness": _brightness,
    "colour": _colour,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
}
_TABLE = tuple(OPERATIONS.values())


def rand_augment(
    image: Image.Image, layers: int, magnitude: float, prob: float, random: np.random.Generator
) -> Image.Image:
    """Apply ``layers`` operations drawn with replacement, each with probability ``prob``, its sign at random.

    Args:
        image: RGB.
        layers: how many operations are drawn, 0 or more.
        magnitude: 0 to `MAX_MAGNITUDE`.
        prob: 0-1.
        random: the sample's own generator; always advanced by the same amount.

    Source: Cubuk et al. 2020, "RandAugment", with torchvision's ranges. Deviation: ``prob`` (timm's), and nearest
    neighbours for geometry as in both.
    """
    for which, chance, sign in random.random((layers, 3)):
        if chance < prob:
            strength = magnitude / MAX_MAGNITUDE
            image = _TABLE[int(which * len(_TABLE))](image, strength if sign < 0.5 else -strength)
    return image
