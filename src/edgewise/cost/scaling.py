"""Where the traits of a group of kernels lie, and how far they spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from edgewise.records.latency_profile import SampledGroup

Matrix = NDArray[np.float64]

MIN_SCALE: Final = 0.6
BEYOND: Final = 0.5
"""Doublings up to which a trait counts beyond the sampled range."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """Brings each trait to a mean of 0 and a spread of 1, and ends it a little beyond what was sampled."""

    centre: Matrix
    scale: Matrix
    low: Matrix
    high: Matrix

    @classmethod
    def of(cls, traits: Matrix) -> Self:
        """Return that of a calibration's (kernels, traits)."""
        return cls(traits.mean(0), np.maximum(traits.std(0), MIN_SCALE), traits.min(0), traits.max(0))

    @classmethod
    def of_record(cls, record: SampledGroup) -> Self:
        """Return that of a profile."""
        return cls(np.array(record.centre), np.array(record.scale), np.array(record.low), np.array(record.high))

    def scaled(self, traits: Matrix) -> Matrix:
        """Return (kernels, traits), scaled."""
        found: Matrix = (np.clip(traits, self.low - BEYOND, self.high + BEYOND) - self.centre) / self.scale
        return found

    def fields(self) -> dict[str, tuple[float, ...]]:
        """Return what a profile keeps of it."""
        return {name: tuple(getattr(self, name).tolist()) for name in ("centre", "scale", "low", "high")}
