"""Right answers to wrong pixels, or under wrong names: what a file says of labels and preparation, and our own preparing code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
from PIL import Image

from edgewise.data import transforms
from edgewise.data.transforms import RESAMPLING
from edgewise.records.artifact import Preprocessing
from tests.seeded_bugs.bug import Bug, Right, Seed

Text = dict[str, str]


def retold(right: Right, path: Path, text: Text) -> None:
    """Write the right ONNX file with another text inside."""
    model = onnx.load(right.path)
    del model.metadata_props[:]
    for key, value in text.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, path)


def with_text(change: Callable[[Text], object]) -> Seed:
    """Return a seed that changes what the right file says of itself."""

    def seed(right: Right, path: Path) -> None:
        text = dict(right.metadata)
        change(text)
        assert text != right.metadata
        retold(right, path, text)

    return seed


def other_recipe(**changed: Any) -> Seed:
    """Return a seed whose file asks for another preparation, in all its entries."""

    def change(text: Text) -> None:
        recipe = Preprocessing.model_validate_json(text["preprocessing"]).model_copy(update=changed)
        text["preprocessing"] = recipe.model_dump_json()
        text["imgsz"] = json.dumps([recipe.img_size, recipe.img_size])
        text["mean"], text["std"] = json.dumps(list(recipe.mean)), json.dumps(list(recipe.std))

    return with_text(change)


def _names(how: Callable[[list[str]], list[str]]) -> Seed:
    return with_text(lambda text: text.update(names=json.dumps(how(json.loads(text["names"])))))


def _swapped(names: list[str]) -> list[str]:
    return [*names[:4], names[5], names[4], *names[6:]]


def same_file(right: Right, path: Path) -> None:
    """Leave the right file: the bug is in our own code."""
    shutil.copy(right.path, path)


def _resized(pixels: Any, resize_side: int, crop: int, interpolation: str, shift: int = 0) -> Image.Image:
    height, width = pixels.shape[:2]
    short = min(height, width)
    image = Image.fromarray(pixels)
    image = image.resize((resize_side * width // short, resize_side * height // short), RESAMPLING[interpolation])
    left, top = round((image.width - crop) / 2) - shift, round((image.height - crop) / 2) - shift
    return image.crop((left, top, left + crop, top + crop))


def _patched(function: Callable[..., Image.Image]) -> Callable[[], AbstractContextManager[object]]:
    return lambda: mock.patch.object(transforms, "resized_centre", function)


def _shifted_crop(pixels: Any, resize_side: int, crop: int, interpolation: str) -> Image.Image:
    return _resized(pixels, resize_side, crop, interpolation, shift=1)


def _one_larger(pixels: Any, resize_side: int, crop: int, interpolation: str) -> Image.Image:
    return _resized(pixels, resize_side + 1, crop, interpolation)


def _squeezed(pixels: Any, resize_side: int, crop: int, interpolation: str) -> Image.Image:
    image = Image.fromarray(pixels).resize((resize_side, resize_side), RESAMPLING[interpolation])
    edge = round((resize_side - crop) / 2)
    return image.crop((edge, edge, edge + crop, edge + crop))


def _not_antialiased(pixels: Any, resize_side: int, crop: int, interpolation: str) -> Image.Image:
    """As OpenCV and most programs on phones resize: the nearest pixels alone count, however much it shrinks."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    rows, columns = (
        np.minimum((np.arange(resize_side * side // short) * short / resize_side).astype(int), side - 1)
        for side in (height, width)
    )
    image = Image.fromarray(pixels[rows][:, columns])
    left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))


def _as_bgr(pixels: Any, resize_side: int, crop: int, interpolation: str) -> Image.Image:
    return _resized(np.ascontiguousarray(pixels[..., ::-1]), resize_side, crop, interpolation)


BUGS = (
    Bug(
        name="labels in another order",
        imitates="two neighbouring class names change places in the file's own list",
        seed=_names(_swapped),
    ),
    Bug(
        name="labels sorted as text",
        imitates="folders are listed as text, where class 10 comes before class 2",
        seed=_names(sorted),
    ),
    Bug(
        name="labels missing",
        imitates="an optimising tool writes the file anew and drops its text",
        seed=with_text(lambda text: text.pop("names")),
    ),
    Bug(
        name="labels of another data set",
        imitates="the list of a model with more classes is put in",
        seed=_names(lambda names: [*names, "one more"]),
    ),
    Bug(
        name="no text at all",
        imitates="the file is saved without its metadata",
        seed=with_text(lambda text: text.clear()),
    ),
    Bug(
        name="other share of the crop",
        imitates="the recipe says 0.95 of the picture where the model was judged at 0.875",
        seed=other_recipe(crop_pct=0.95),
    ),
    Bug(
        name="other interpolation",
        imitates="bilinear where the model was judged on bicubic",
        seed=other_recipe(interpolation="bilinear"),
    ),
    Bug(
        name="recipe one pixel too large",
        imitates="the size inside the file is off by one",
        seed=other_recipe(img_size=33),
    ),
    Bug(
        name="mean and deviation exchanged",
        imitates="two lists of three numbers change places",
        seed=other_recipe(mean=(0.229, 0.224, 0.225), std=(0.485, 0.456, 0.406)),
    ),
    Bug(
        name="mean in the order of BGR",
        imitates="the recipe is written for OpenCV's channels",
        seed=other_recipe(mean=(0.406, 0.456, 0.485), std=(0.225, 0.224, 0.229)),
    ),
    Bug(
        name="Inception's normalisation",
        imitates="the recipe of other weights of the same model: one half, one half",
        seed=other_recipe(mean=(0.5,) * 3, std=(0.5,) * 3),
    ),
    Bug(
        name="two recipes in one file",
        imitates="the short list of means, which other tools read, is not that of the recipe",
        seed=with_text(lambda text: text.update(mean=json.dumps([0.5, 0.5, 0.5]))),
    ),
    Bug(
        name="origin of other weights",
        imitates="the text of an earlier export is carried over: the SHA-256 is not that of the weights",
        seed=with_text(lambda text: text.update(source_sha256="0" * 64)),
    ),
    Bug(
        name="pictures cropped one pixel off",
        imitates="a crop rounds the other way than the one that the model was judged with",
        seed=same_file,
        during=_patched(_shifted_crop),
    ),
    Bug(
        name="pictures resized one pixel larger",
        imitates="the shorter side is rounded up instead of down",
        seed=same_file,
        during=_patched(_one_larger),
    ),
    Bug(
        name="pictures squeezed",
        imitates="both sides are resized to one length, whatever the picture's proportions",
        seed=same_file,
        during=_patched(_squeezed),
    ),
    Bug(
        name="pictures resized without antialiasing",
        imitates="the nearest pixels alone are taken, as many programs on phones do",
        seed=same_file,
        during=_patched(_not_antialiased),
    ),
    Bug(
        name="pictures decoded as BGR",
        imitates="OpenCV decodes them, and nobody turns the channels",
        seed=same_file,
        during=_patched(_as_bgr),
    ),
)
