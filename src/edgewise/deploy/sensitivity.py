"""How much of the signal in the logits is left when something is computed in int8."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NUM_IMAGES = 64
"""Calibration images whose logits are compared."""
MOST_DB = 120.0
"""What is given where nothing is lost; float32 itself does not reach it."""


def compared_images(calibration: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at most 64 of the images (N, C, H, W), spread evenly over all."""
    places = np.linspace(0, len(calibration) - 1, min(NUM_IMAGES, len(calibration))).round().astype(int)
    return np.array(calibration[places])


def sqnr_db(exact: NDArray[np.float32], given: NDArray[np.float32]) -> float:
    """Return the power of ``exact`` over that of the difference, in dB; at most 120, and 0 where there is no signal."""
    signal = np.square(exact, dtype=np.float64).sum()
    noise = np.square(given.astype(np.float64) - exact).sum()
    return float(10 * np.log10(signal / max(noise, signal * 10 ** (-MOST_DB / 10)))) if signal > 0 else 0.0
