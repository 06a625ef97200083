"""Opening the data set that a job names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgewise.data.dataset import Dataset, open_dataset
from edgewise.data.digits import open_digits

DIGITS = "digits"


def open_named(
    data: str,
    *,
    val_share: float = 0.2,
    split_seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Open ``digits`` (scikit-learn's, bundled) or the folder or tar at a path.

    A folder that is called ``digits`` is reached as ``./digits``.

    Raises:
        DataError: the data set cannot be used.
    """
    if data == DIGITS:
        return open_digits(split_seed)
    return open_dataset(Path(data), val_share=val_share, split_seed=split_seed, progress=progress)


def absolute(data: str) -> str:
    """Return the name that a job stores: absolute, so that it can be resumed from anywhere."""
    return DIGITS if data == DIGITS else str(Path(data).absolute())
