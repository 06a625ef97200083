"""What a fit is worth on what it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

FOLDS: Final = 5


def left_out(num_samples: int, predict: Callable[[Sequence[int], Sequence[int]], Matrix]) -> Matrix:
    """Return a prediction for each sample by a fit to others: five times, a fifth is left out.

    Args:
        num_samples: samples in all.
        predict: is given the samples to fit, and those to predict.
    """
    predicted = np.zeros(num_samples)
    for fold in range(FOLDS):
        held = range(fold, num_samples, FOLDS)
        predicted[held] = predict([at for at in range(num_samples) if at % FOLDS != fold], held)
    return predicted
