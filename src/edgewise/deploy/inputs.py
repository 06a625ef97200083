"""The inputs on which an exported file is compared with its model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgewise.deploy.pictures import can_prepare, picture_files, prepared_plainly
from edgewise.records.artifact import Preprocessing

Images = NDArray[np.float32]

NUM_NOISE = 16
NUM_PIXELS = 8
NUM_FAR = 3
FAR = 10.0
"""How far inputs go beyond white, and beyond ordinary noise, to show what happens past a clamp such as ReLU6's."""


def edge_inputs(preprocessing: Preprocessing) -> dict[str, Images]:
    """Return inputs that real images hardly ever hold, by kind; each is (N, C, S, S), float32.

    ``zeros`` and ``ones`` are what the network sees; ``saturated`` are a white and a black image, and one image per channel
    with only that channel at 255; ``far`` are white and noise ten times over, a kind of its own since its logits are larger
    and would excuse larger differences of the others; ``noise`` is normal; ``pixel`` lights one place each; ``picture`` are
    generated picture files, where image files can give the channels.
    """
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    shape = (len(preprocessing.mean), preprocessing.img_size, preprocessing.img_size)
    generator = np.random.default_rng(0)
    saturated = _saturated(shape, mean, std)
    noise = generator.standard_normal((NUM_NOISE, *shape), np.float32)
    kinds: dict[str, Images] = {
        "zeros": np.zeros((1, *shape), np.float32),
        "ones": np.ones((1, *shape), np.float32),
        "saturated": saturated,
        "far": np.float32(FAR) * np.concatenate([saturated[:1], noise[:NUM_FAR]]),
        "noise": noise,
        "pixel": _pixels(shape, (1 - mean) / std, generator),
    }
    if can_prepare(preprocessing):
        kinds["picture"] = prepared_plainly(picture_files(preprocessing.img_size), preprocessing)
    return kinds


def _saturated(shape: tuple[int, int, int], mean: Images, std: Images) -> Images:
    images = [np.ones(shape, np.float32), np.zeros(shape, np.float32)]
    for channel in range(shape[0]):
        image = np.zeros(shape, np.float32)
        image[channel] = 1
        images.append(image)
    return np.stack([(image - mean) / std for image in images]).astype(np.float32)


def _pixels(shape: tuple[int, int, int], white: Images, generator: np.random.Generator) -> Images:
    """Return zeros with one white pixel each: the four corners first (padding shows there), then anywhere."""
    last = shape[1] - 1
    places = [(0, 0), (0, last), (last, 0), (last, last)]
    places += [(int(y), int(x)) for y, x in generator.integers(0, shape[1], (NUM_PIXELS - len(places), 2))]
    images = np.zeros((NUM_PIXELS, *shape), np.float32)
    for image, (y, x) in zip(images, places, strict=True):
        image[:, y, x] = white[:, 0, 0]
    return images
