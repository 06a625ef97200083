from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from generated_images import encoded, noise
from PIL import Image
from torch import nn

import edgewise
from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.errors import ConfigError, ImageError
from edgewise.records.artifact import Preprocessing


def test_every_form_of_an_image_gives_the_same(tmp_path: Path) -> None:
    pixels = noise(1, 90, 120)
    path = tmp_path / "image.png"
    path.write_bytes(encoded(pixels, "PNG"))
    transform = edgewise.create_transform((3, 48, 48), crop_pct=0.9, interpolation="bilinear")
    recipe = Preprocessing(img_size=48, crop_pct=0.9, interpolation="bilinear")
    expected = normalise(EvalTransform(recipe)(pixels)[None], recipe.mean, recipe.std)[0]
    assert transform.preprocessing == recipe
    for form in (pixels, Image.fromarray(pixels), path, str(path), path.read_bytes()):
        assert torch.equal(transform(form), expected)


def test_files_are_turned_by_exif_and_pillows_images_are_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "image.png"
    path.write_bytes(encoded(noise(1, 32, 32), "PNG", exif=exif))
    transform = edgewise.create_transform(32, crop_pct=1.0)
    with Image.open(path) as image:
        as_stored = transform(image)
    assert torch.equal(transform(path), as_stored.rot90(-1, (1, 2)))


def test_grey_and_modes_of_pillows_images() -> None:
    transform = edgewise.create_transform(16, mean=(0.5,), std=(0.5,))
    assert transform(np.full((20, 20, 3), 255, np.uint8)).shape == (1, 16, 16)
    assert transform(Image.new("RGBA", (20, 20), (0, 0, 0, 0))).min() == 1.0, "alpha lies over white"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"is_training": True}, "is_training is True; training images are made by"),
        ({"crop_mode": "squash"}, "crop_mode is 'squash'; accepted: 'center'"),
        ({"input_size": (3, 224, 256)}, r"input_size is \(3, 224, 256\); height and width must be equal"),
        ({"crop_pct": 1.5}, "crop_pct is '1.5': Input should be less than or equal to 1"),
        ({"interpolation": "lanczos"}, "interpolation is 'lanczos': Input should be 'bilinear' or 'bicubic'"),
        ({"mean": (0.5, 0.5), "std": (0.5, 0.5)}, "mean has 2 values"),
    ],
)
def test_what_cannot_be_made(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edgewise.create_transform(**options)


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    transform = edgewise.create_transform(16)
    with pytest.raises(ImageError, match=r"gone\.png' cannot be read: No such file or directory"):
        transform(tmp_path / "gone.png")
    with pytest.raises(ImageError, match="not an image"):
        transform(b"garbage")


def test_a_model_that_says_nothing() -> None:
    with pytest.raises(ConfigError, match="Linear has no pretrained_cfg; give create_transform the values themselves"):
        edgewise.resolve_model_data_config(nn.Linear(2, 2))
