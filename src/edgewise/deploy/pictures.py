"""Generated picture files, and the proof that what a file says of their preparation leads to the right pixels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.deploy.answers import Images
from edgewise.deploy.snippets.answer_pictures import read_image
from edgewise.records.artifact import Preprocessing

MAX_LEVELS = 0.05
"""Accepted difference of two preparations, in grey levels of 0-255: float32 rounds in normalising, pixels themselves are equal."""


def picture_files(img_size: int) -> list[bytes]:
    """Return PNG files (wide, tall and small) with smooth colours, hard edges and noise: a pixel that is off by one shows.

    Their sides have no factor in common with each other or with ``img_size``, so that every rounding of a resize is met.
    """
    sides = [
        (2 * img_size + 3, 3 * img_size + 1),
        (3 * img_size // 2 + 2, img_size + 5),
        (img_size // 2 + 1, img_size // 2 + 4),
    ]
    return [_picture(height, width) for height, width in sides]


def _picture(height: int, width: int) -> bytes:
    generator = np.random.default_rng(height * 10_000 + width)
    coarse = generator.integers(0, 256, (height // 9 + 2, width // 9 + 2, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int64)
    edges = generator.integers(0, 2, (height, width, 1)) * 60
    content = io.BytesIO()
    Image.fromarray(np.clip(smooth + edges, 0, 255).astype(np.uint8)).save(content, "PNG", compress_level=1)
    return content.getvalue()


def can_prepare(preprocessing: Preprocessing) -> bool:
    """Say whether picture files can become the input: they give one channel or three."""
    return len(preprocessing.mean) in {1, 3}


def prepared(files: list[bytes], recipe: Preprocessing) -> Images:
    """Return pictures (N, C, S, S) as `edgewise predict`, `val` and the calibration prepare them."""
    transform = EvalTransform(recipe)
    return np.concatenate([normalise(transform(each)[None], recipe.mean, recipe.std).numpy() for each in files])


def prepared_plainly(files: list[bytes], recipe: Preprocessing) -> Images:
    """Return pictures (N, C, S, S) as the program beside a file prepares them: all of a picture resized, then cut, by Pillow alone.

    timm's evaluation in its plainest form, and written independently of `prepared`.
    """
    return np.concatenate([read_image(io.BytesIO(each), recipe.model_dump()) for each in files])


def preparation_difference(recipe: Preprocessing, preprocessing: Preprocessing) -> str:
    """Return how pictures prepared by ``recipe`` differ from those that ``preprocessing`` asks for; empty where they do not.

    Args:
        recipe: what an exported file says; the way of `prepared`.
        preprocessing: what was to be said; the way of `prepared_plainly`.
    """
    files = picture_files(preprocessing.img_size)
    given, wanted = prepared(files, recipe), prepared_plainly(files, preprocessing)
    if given.shape != wanted.shape:
        return f"pictures become {given.shape[1:]} by the file's own recipe; must be {wanted.shape[1:]}"
    levels = 255 * np.array(preprocessing.std, np.float32)[:, None, None]
    off = np.abs(given - wanted) * levels
    if not off.max() <= MAX_LEVELS:
        return (
            f"pictures prepared by the file's own recipe are off by up to {off.max():.3g} grey levels "
            f"({(off > MAX_LEVELS).mean():.1%} of the pixels differ)"
        )
    return ""
