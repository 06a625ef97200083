"""timm's two helpers for whoever feeds a model by hand: what a model wants, and a callable that makes it of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from edgewise.data.colour import to_rgb
from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.errors import ConfigError, ImageError, shown
from edgewise.records.artifact import Preprocessing

IMAGENET = Preprocessing(img_size=224)


def resolve_model_data_config(model: torch.nn.Module, *, use_test_size: bool = False) -> dict[str, Any]:
    """Return what `create_transform` takes to prepare images for ``model``.

    Args:
        model: made by `create_model`.
        use_test_size: take the size at which its published weights score best, where that is another one.

    Raises:
        ConfigError: the model says nothing of its input.
    """
    cfg = getattr(model, "pretrained_cfg", None)
    if not isinstance(cfg, Mapping):
        raise ConfigError(f"{type(model).__name__} has no pretrained_cfg; give create_transform the values themselves")
    names = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")
    found = {name: cfg[name] for name in names}
    if use_test_size:
        found |= {name: cfg[f"test_{name}"] for name in ("input_size", "crop_pct") if f"test_{name}" in cfg}
    return found


def create_transform(
    input_size: int | Sequence[int] = 224,
    is_training: bool = False,
    *,
    interpolation: str = IMAGENET.interpolation,
    mean: Sequence[float] = IMAGENET.mean,
    std: Sequence[float] = IMAGENET.std,
    crop_pct: float = IMAGENET.crop_pct,
    crop_mode: str = "center",
) -> ImageTransform:
    """Return the evaluation transform: resize, centre crop, scale to 0-1, normalise, exactly as timm's.

    Args:
        input_size: (C, S, S), (S, S) or S, in pixels.
        is_training: training augments images, which `edgewise.data.augment.TrainTransform` does; must be False.
        interpolation: ``bilinear`` or ``bicubic``.
        mean: one value per channel: 3, or 1 for grey.
        std: as ``mean``.
        crop_pct: share of the resized image's shorter side that the crop keeps, above 0 and at most 1.
        crop_mode: must be ``center``.

    Raises:
        ConfigError: a value is out of range.
    """
    if is_training:
        raise ConfigError("is_training is True; training images are made by edgewise.data.augment.TrainTransform")
    if crop_mode != "center":
        raise ConfigError(f"crop_mode is {shown(crop_mode)}; accepted: 'center'")
    sides = {input_size} if isinstance(input_size, int) else set(input_size[-2:])
    if len(sides) != 1:
        raise ConfigError(f"input_size is {input_size}; height and width must be equal")
    fields = {"img_size": sides.pop(), "interpolation": interpolation, "mean": mean, "std": std, "crop_pct": crop_pct}
    try:
        return ImageTransform(Preprocessing.model_validate(fields))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{first['loc'][0]} is {shown(first['input'])}: {first['msg']}") from error


class ImageTransform:
    """Makes the network's input of one image; a batch is ``torch.stack`` of several."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self._view = EvalTransform(preprocessing)

    def __call__(self, image: Image.Image | str | Path | bytes | NDArray[np.uint8]) -> torch.Tensor:
        """Return float32 (C, S, S).

        Args:
            image: a file's path or its bytes, which is turned by its EXIF orientation; or an image of Pillow's or RGB
                pixels (H, W, 3), which are taken as they are.

        Raises:
            ImageError: it cannot be read or decoded.
        """
        pixels = self._view(_content(image))
        recipe = self.preprocessing
        return normalise(pixels[None], recipe.mean, recipe.std)[0]


def _content(image: Image.Image | str | Path | bytes | NDArray[np.uint8]) -> bytes | NDArray[np.uint8]:
    if isinstance(image, Image.Image):
        return to_rgb(image)
    if isinstance(image, str | Path):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise ImageError(f"{shown(image)} cannot be read: {error.strerror}") from error
    return image
