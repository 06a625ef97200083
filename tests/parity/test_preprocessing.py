"""Our evaluation pixels against timm's `create_transform`, for every preparation that published weights ask for."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import numpy as np
import pytest
import timm.data
import torch
from PIL import Image, ImageOps

import edgewise
from edgewise.data.decode import decode
from edgewise.data.transforms import EvalTransform
from edgewise.deploy.pictures import picture_files, prepared_plainly
from edgewise.models.pretrained import tags_of
from edgewise.records.artifact import Preprocessing

TAGS = [tag for name in edgewise.list_models() for tag in tags_of(name)]
PHOTOS = Path(__file__).parents[2].parent / "shared" / "data" / "photos"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SIZES = [(375, 500), (500, 375), (256, 256), (224, 301), (97, 61), (8, 8), (1, 3), (1203, 640), (60, 1900)]


def pixel_recipes() -> list[tuple[int, float, str]]:
    """Return each (size, crop_pct, interpolation) of the tags, also of their test sizes."""
    found = {(tag.img_size, tag.crop_pct, tag.interpolation) for tag in TAGS}
    found |= {
        (tag.test_img_size, tag.test_crop_pct or tag.crop_pct, tag.interpolation) for tag in TAGS if tag.test_img_size
    }
    return sorted(found)


RECIPES = pixel_recipes()


def theirs(size: int, crop_pct: float, interpolation: str, **options: object):
    shape = {"input_size": (3, size, size), "crop_pct": crop_pct, "interpolation": interpolation}
    return timm.data.create_transform(**shape, is_training=False, **options)


def noise(height: int, width: int) -> Image.Image:
    """Return smooth colours with hard edges: what shows a pixel that is off by a fraction."""
    generator = np.random.default_rng(height * 10_000 + width)
    small = generator.integers(0, 256, (height // 7 + 1, width // 7 + 1, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    edges = generator.integers(0, 2, (height, width, 1), dtype=np.uint8) * 90
    return Image.fromarray(np.clip(np.asarray(image).astype(int) + edges, 0, 255).astype(np.uint8))


def stored(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def pillow(content: bytes) -> Image.Image:
    """Return what a timm user gets who turns images by EXIF."""
    return ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")


def mode_of(content: bytes) -> str:
    with Image.open(io.BytesIO(content)) as image:
        return image.mode


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_what_verification_compares_with_is_timms_preparation(recipe: tuple[int, float, str]) -> None:
    size, crop_pct, interpolation = recipe
    files = picture_files(size)
    ours = prepared_plainly(files, Preprocessing(img_size=size, crop_pct=crop_pct, interpolation=interpolation))
    expected = torch.stack([theirs(*recipe)(pillow(each)) for each in files]).numpy()
    assert np.abs(ours - expected).max() <= 1e-5


@functools.cache
def generated() -> list[Image.Image]:
    return [noise(*size) for size in SIZES]


def test_there_are_all_kinds_of_recipes() -> None:
    assert {interpolation for _, _, interpolation in RECIPES} == {"bilinear", "bicubic"}
    assert len(RECIPES) > 15


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_pixels_of_generated_images_equal_timms(recipe: tuple[int, float, str]) -> None:
    size, crop_pct, interpolation = recipe
    ours = EvalTransform(Preprocessing(img_size=size, crop_pct=crop_pct, interpolation=interpolation))
    reference = theirs(*recipe, normalize=False)
    for image in generated():
        assert torch.equal(ours(np.asarray(image)), reference(image)), image.size


JPEGS = {
    "4:2:0": {"subsampling": "4:2:0"},
    "4:2:2": {"subsampling": "4:2:2"},
    "4:4:4": {"subsampling": "4:4:4"},
    "progressive": {"progressive": True},
    "quality 30": {"quality": 30},
    "restarts": {"restart_marker_blocks": 4},
}


@pytest.mark.parametrize("kind", [*JPEGS, "grey JPEG", "PNG", "grey PNG", "WEBP", "lossless WEBP", "BMP"])
def test_decoded_files_equal_pillows(kind: str) -> None:
    for height, width in [(64, 80), (61, 97), (17, 23), (8, 8), (1, 3)]:
        image = noise(height, width)
        if "grey" in kind:
            image = image.convert("L")
        name = "JPEG" if kind in JPEGS else kind.rpartition(" ")[2]
        options = {"lossless": True} if "lossless" in kind else JPEGS.get(kind, {})
        content = stored(image, name, **options)
        assert np.array_equal(decode(content), np.asarray(pillow(content)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_files_equal_transposed_ones(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = stored(noise(150, 210), "JPEG", exif=exif)
    ours = EvalTransform(Preprocessing(img_size=64, crop_pct=0.875))
    assert torch.equal(ours(content), theirs(64, 0.875, "bicubic", normalize=False)(pillow(content)))


@pytest.mark.parametrize("norm", sorted({(tag.mean, tag.std) for tag in TAGS}), ids=str)
def test_normalised_values_equal_timms(norm: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    every_level = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2))
    options = {"mean": norm[0], "std": norm[1]}
    ours = edgewise.create_transform(16, crop_pct=1.0, **options)(every_level)
    assert ours.dtype == torch.float32
    assert (ours - theirs(16, 1.0, "bicubic", **options)(every_level)).abs().max() <= 1e-6


def test_a_models_own_transform_is_timms() -> None:
    name = "mobilenetv4_conv_small.e3600_r256_in1k"
    model = edgewise.create_model(name)
    image = noise(300, 411)
    for use_test_size in (False, True):
        ours = edgewise.resolve_model_data_config(model, use_test_size=use_test_size)
        reference = timm.data.resolve_model_data_config(timm.create_model(name), use_test_size=use_test_size)
        assert ours == reference
        expected = timm.data.create_transform(**reference, is_training=False)(image)
        assert (edgewise.create_transform(**ours, is_training=False)(image) - expected).abs().max() <= 1e-6


def photos() -> list[Path]:
    return sorted(each for each in PHOTOS.glob("*/*") if each.suffix.lower() in SUFFIXES)


# one case a folder; none, and so a skip, where the shared photos are not at hand
@pytest.mark.parametrize("folder", sorted({path.parent.name for path in photos()}))
def test_pixels_of_photos_equal_timms(folder: str) -> None:
    """Each photo by every third recipe, each recipe on every third photo."""
    for number, path in enumerate(each for each in photos() if each.parent.name == folder):
        content = path.read_bytes()
        pixels = decode(content)
        image = Image.fromarray(pixels)
        if mode_of(content) in {"RGB", "L"}:  # alpha we lay over white, which Pillow's own conversion drops
            assert np.array_equal(pixels, np.asarray(pillow(content))), path
        for size, crop_pct, interpolation in RECIPES[number % 3 :: 3]:
            recipe = Preprocessing(img_size=size, crop_pct=crop_pct, interpolation=interpolation)
            expected = theirs(size, crop_pct, interpolation, normalize=False)(image)
            assert torch.equal(EvalTransform(recipe)(pixels), expected), (path, recipe)
