"""Labelled images as the arrays that runtimes take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgewise.data.dataset import Sample
from edgewise.data.loader import KEEP_BYTES, EvalLoader
from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.records.artifact import Preprocessing

ArrayBatches = Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]


def array_batches(
    samples: Sequence[Sample], preprocessing: Preprocessing, batch_size: int = 64
) -> Callable[[], ArrayBatches]:
    """Return a function that gives normalised batches (N, C, S, S) with targets (N,) afresh at each call.

    Every file and its judge answer the same images; a set that fits into memory is decoded for the first of them only.
    """
    loader = EvalLoader(samples, EvalTransform(preprocessing), batch_size=batch_size, keep_bytes=KEEP_BYTES)

    def batches() -> ArrayBatches:
        for batch in loader:
            images = normalise(batch.images, preprocessing.mean, preprocessing.std)
            yield np.ascontiguousarray(images.numpy()), batch.targets.numpy()

    return batches


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Return at most ``most`` samples spread evenly over the list, so that every class is met (samples lie class by class)."""
    if len(samples) <= most:
        return list(samples)
    return [samples[index] for index in np.linspace(0, len(samples) - 1, most).round().astype(int)]


def images_of(samples: Sequence[Sample], preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return all samples as one normalised array (N, C, S, S)."""
    return np.concatenate([images for images, _ in array_batches(samples, preprocessing)()])
