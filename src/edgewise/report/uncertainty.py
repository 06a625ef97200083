"""How far a measured accuracy may lie from the true one."""

from __future__ import annotations

import math

Z_95 = 1.959964


def wilson_interval(fraction: float, num_images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy measured on ``num_images`` independent images.

    Args:
        fraction: share of right answers, 0-1.
        num_images: 1 or more.

    Source: Wilson 1927, "Probable inference"; unlike the plain normal interval it stays inside 0-1.
    """
    square = Z_95**2 / num_images
    centre = (fraction + square / 2) / (1 + square)
    half = Z_95 / (1 + square) * math.sqrt(fraction * (1 - fraction) / num_images + square / (4 * num_images))
    return max(0.0, centre - half), min(1.0, centre + half)
