"""Scikit-learn's bundled handwritten digits: real images that need no download."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from numpy.typing import NDArray

from edgewise.data.dataset import Dataset, Sample
from edgewise.data.sources import MemoryImage
from edgewise.data.split import val_indices
from edgewise.records.data import DataSummary

_VAL_SHARE = 0.2


def open_digits(split_seed: int = 0) -> Dataset:
    """Return the 1,797 grey 8x8 digits, classes ``0`` to ``9``, four fifths of each class for training.

    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (its test set).
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = tuple(str(digit) for digit in range(10))
    train: list[Sample] = []
    val: list[Sample] = []
    for label in range(10):
        samples = [
            Sample(MemoryImage(_png(bunch.images[index])), label, f"{label}/{index:04d}.png")
            for index in np.flatnonzero(bunch.target == label)
        ]
        chosen = val_indices([sample.name for sample in samples], _VAL_SHARE, split_seed)
        val += [sample for position, sample in enumerate(samples) if position in chosen]
        train += [sample for position, sample in enumerate(samples) if position not in chosen]
    summary = DataSummary(
        source="scikit-learn's handwritten digits",
        labels=labels,
        train_counts=tuple(sum(sample.label == label for sample in train) for label in range(10)),
        val_counts=tuple(sum(sample.label == label for sample in val) for label in range(10)),
        split=f"{_VAL_SHARE:.0%} of each class by the hash of its names, seed {split_seed}",
        fingerprint=_fingerprint(train, val),
    )
    return Dataset(summary, tuple(train), tuple(val), labels)


def _png(digit: NDArray[np.float64]) -> bytes:
    """Encode one digit, whose values are 0-16."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.rint(digit * (255 / 16)).astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def _fingerprint(train: list[Sample], val: list[Sample]) -> str:
    digest = hashlib.sha256()
    for split, samples in (("train", train), ("val", val)):
        for sample in samples:
            digest.update(f"{split}\0{sample.name}\0".encode() + sample.image.read())
    return digest.hexdigest()
