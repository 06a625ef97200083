"""Augmentation of one training image, decided by its own seed alone."""

from __future__ import annotations

import math
from typing import Annotated, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgewise.data.decode import decode, jpeg_size
from edgewise.data.randaug import MAX_MAGNITUDE, MEAN_GREY, rand_augment
from edgewise.data.seeds import generator
from edgewise.data.transforms import resized_box, to_tensor
from edgewise.records.artifact import Interpolation

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_CROP_TRIES = 10


class AugmentConfig(BaseModel):
    """What is done to training images; probabilities are 0-1, and 0 turns a thing off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    crop_scale: tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]] = (0.08, 1.0)
    """Smallest and largest share of the image's area that a crop takes."""
    crop_ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)
    """Smallest and largest width / height of a crop."""
    hflip: Share = 0.5
    vflip: Share = 0.0
    randaug_layers: Annotated[int, Field(ge=0, le=8)] = 2
    randaug_magnitude: Annotated[float, Field(ge=0, le=MAX_MAGNITUDE)] = 9
    """On the paper's scale of 0-30."""
    randaug_prob: Share = 0.5
    """Of each drawn operation being applied."""
    color_jitter: Share = 0.0
    """Brightness, contrast and saturation each change by a factor within 1 ± this."""
    erasing: Share = 0.0
    """Probability that a rectangle is erased."""
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Alpha of the Beta distribution."""
    cutmix: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Alpha of the Beta distribution."""
    mix_prob: Share = 1.0
    """Probability that a batch is mixed at all, where mixup or cutmix is on."""
    switch_prob: Share = 0.5
    """Probability of cutmix instead of mixup, where both are on."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, (low, high) in (("crop_scale", self.crop_scale), ("crop_ratio", self.crop_ratio)):
            if low > high:
                raise ValueError(f"{name} is ({low}, {high}); the first must not be larger")
        return self


class TrainTransform:
    """Random crop, flips, RandAugment, colour jitter and erasing; the same seed gives the same pixels everywhere."""

    def __init__(self, config: AugmentConfig, img_size: int, interpolation: Interpolation = "bicubic") -> None:
        self.config = config
        self.img_size = img_size
        self.interpolation: Interpolation = interpolation

    def __call__(self, content: bytes | NDArray[np.uint8], generator_seed: int) -> torch.Tensor:
        """Return one augmented view as uint8 (3, S, S).

        Args:
            content: an encoded image file, or decoded RGB pixels (H, W, 3).
            generator_seed: 0 to 2^128 - 1; see `edgewise.data.seeds.derived_seed`.

        Raises:
            ImageError: ``content`` cannot be decoded.
        """
        random = generator(generator_seed)
        config = self.config
        image = self._crop(content, random)
        flips = random.random(2)
        if flips[0] < config.hflip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if flips[1] < config.vflip:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        image = rand_augment(image, config.randaug_layers, config.randaug_magnitude, config.randaug_prob, random)
        if config.color_jitter:
            image = _jitter(image, config.color_jitter, random)
        tensor = to_tensor(image)
        if config.erasing and random.random() < config.erasing:
            _erase(tensor, random)
        return tensor

    def _crop(self, content: bytes | NDArray[np.uint8], random: np.random.Generator) -> Image.Image:
        if isinstance(content, bytes):
            size = jpeg_size(content)
            if size is not None:
                box = crop_box(*size, self.config, random)
                pixels = decode(content, min_side=self._needed_side(size, box))
                return self._cut(pixels, box, size)
            content = decode(content)
        size = (content.shape[0], content.shape[1])
        return self._cut(content, crop_box(*size, self.config, random), size)

    def _needed_side(self, size: tuple[int, int], box: tuple[int, int, int, int]) -> int:
        """Return the shorter side at which the crop is still as large as the output."""
        left, top, right, bottom = box
        return math.ceil(min(size) * self.img_size / min(right - left, bottom - top))

    def _cut(self, pixels: NDArray[np.uint8], box: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
        """Resize ``box``, given in pixels of an image of ``size`` (height, width), from its smaller decoding."""
        y_scale, x_scale = pixels.shape[0] / size[0], pixels.shape[1] / size[1]
        left, top, right, bottom = box
        scaled = (left * x_scale, top * y_scale, right * x_scale, bottom * y_scale)
        return resized_box(pixels, scaled, self.img_size, self.interpolation)


def crop_box(height: int, width: int, config: AugmentConfig, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Draw a crop (left, top, right, bottom) of random area and aspect; the centre where ten draws do not fit.

    Source: torchvision's `RandomResizedCrop`.
    """
    scale, ratio, across, down = random.random((4, _CROP_TRIES))
    low, high = config.crop_scale
    areas = (low + (high - low) * scale) * height * width
    log_low, log_high = math.log(config.crop_ratio[0]), math.log(config.crop_ratio[1])
    ratios = np.exp(log_low + (log_high - log_low) * ratio)
    widths, heights = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    if not fits.any():
        return _central_box(height, width, config.crop_ratio)
    first = int(fits.argmax())
    crop_w, crop_h = int(widths[first]), int(heights[first])
    left, top = int(across[first] * (width - crop_w + 1)), int(down[first] * (height - crop_h + 1))
    return left, top, left + crop_w, top + crop_h


def _central_box(height: int, width: int, ratios: tuple[float, float]) -> tuple[int, int, int, int]:
    crop_w, crop_h = width, height
    if width / height < ratios[0]:
        crop_h = max(1, min(height, round(width / ratios[0])))
    elif width / height > ratios[1]:
        crop_w = max(1, min(width, round(height * ratios[1])))
    left, top = (width - crop_w) // 2, (height - crop_h) // 2
    return left, top, left + crop_w, top + crop_h


def _jitter(image: Image.Image, amount: float, random: np.random.Generator) -> Image.Image:
    factors = 1 + amount * (2 * random.random(3) - 1)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for index in np.argsort(random.random(3), kind="stable"):
        image = enhancers[index](image).enhance(float(factors[index]))
    return image


def _erase(tensor: torch.Tensor, random: np.random.Generator) -> None:
    """Fill a rectangle of 2-33 % of the area with grey, in place. Source: Zhong et al. 2017, "Random Erasing"."""
    area, ratio, across, down = random.random(4)
    side = tensor.shape[-1]
    pixels = (0.02 + 0.31 * area) * side * side
    aspect = math.exp(math.log(0.3) + (math.log(3.3) - math.log(0.3)) * ratio)
    height, width = min(side, round(math.sqrt(pixels * aspect))), min(side, round(math.sqrt(pixels / aspect)))
    top, left = int(down * (side - height + 1)), int(across * (side - width + 1))
    tensor[:, top : top + height, left : left + width] = torch.tensor(MEAN_GREY, dtype=torch.uint8).view(3, 1, 1)
