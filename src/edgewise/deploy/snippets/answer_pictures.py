"""The part of `predict.py` that reads pictures and prints answers."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

FOLDER = Path(__file__).resolve().parent


def read_image(path: Any, recipe: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return a picture, a path or an open file, as the network's input: (1, C, S, S), float32."""
    mode = "L" if len(recipe["mean"]) == 1 else "RGB"
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    image = image.convert("RGBA")
    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB").convert(mode)
    crop, side = recipe["img_size"], math.floor(recipe["img_size"] / recipe["crop_pct"])
    short = min(image.size)
    size = (side * image.width // short, side * image.height // short)
    image = image.resize(size, Image.Resampling[recipe["interpolation"].upper()])
    left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
    image = image.crop((left, top, left + crop, top + crop))
    pixels = np.atleast_3d(np.asarray(image, np.float32)) / 255
    normalised = (pixels - np.array(recipe["mean"], np.float32)) / np.array(recipe["std"], np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None], dtype=np.float32)


def main(open_model: Callable[[str, str], Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]]) -> None:
    """Print the five most likely labels of each picture."""
    artifact = json.loads((FOLDER / "artifact.json").read_text(encoding="utf-8"))
    run = open_model(str(FOLDER / artifact["files"][0]), artifact["precision"])
    batch = artifact["input"]["shape"][0]
    for path in sys.argv[1:]:
        images = read_image(path, artifact["preprocessing"])
        if isinstance(batch, int):  # the file takes so many at once
            images = np.repeat(images, batch, axis=0)
        if artifact["input"]["layout"] == "nhwc":
            images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        probabilities = np.asarray(run(images), np.float64)[0]
        if artifact["output"] == "logits":
            powers = np.exp(probabilities - probabilities.max())
            probabilities = powers / powers.sum()
        best = np.argsort(-probabilities, kind="stable")[:5]
        labels = artifact["labels"] or [str(index) for index in range(len(probabilities))]
        print(f"{path}: " + ", ".join(f"{labels[i]} {probabilities[i]:.1%}" for i in best))  # noqa: T201
