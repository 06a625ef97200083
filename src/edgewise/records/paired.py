"""Two answers to the same labelled images: how many only one of them got right, and what follows for the fall of top-1."""

from __future__ import annotations

import math
from typing import Self

from edgewise.records.record import Record

Z_95 = 1.959964


class PairedTop1(Record):
    """A model and a file made from it on the same labelled images; falls are of top-1, as fractions, below 0 where the file is better."""

    num_both: int
    """Images that both got right."""
    num_model_only: int
    num_file_only: int
    num_neither: int
    drop: float
    drop_low: float
    """Lower end of the fall's 95 % interval."""
    drop_high: float
    p_value: float
    """Exact McNemar test, two-sided: how often a file as good as its model would differ from it at least so much."""

    @classmethod
    def counted(cls, *, both: int, model_only: int, file_only: int, neither: int) -> Self:
        """Return what follows from counts of images, at least one in all."""
        low, high = drop_interval(model_only, file_only, both + model_only + file_only + neither)
        return cls(
            num_both=both,
            num_model_only=model_only,
            num_file_only=file_only,
            num_neither=neither,
            drop=(model_only - file_only) / (both + model_only + file_only + neither),
            drop_low=low,
            drop_high=high,
            p_value=mcnemar_p(model_only, file_only),
        )

    @property
    def num_images(self) -> int:
        """Return the number of images."""
        return self.num_both + self.num_model_only + self.num_file_only + self.num_neither

    def within(self, max_drop: float) -> bool:
        """Say whether top-1 falls by at most ``max_drop``, a fraction."""
        return self.drop <= max_drop + 1e-9  # 0.98 - 0.97 is a hair above 0.01 in binary

    def settles(self, max_drop: float) -> bool:
        """Say whether the images are enough to tell on which side of ``max_drop`` the true fall lies."""
        return self.drop_high <= max_drop if self.within(max_drop) else self.drop_low > max_drop


def drop_interval(model_only: int, file_only: int, num_images: int) -> tuple[float, float]:
    """Return the 95 % interval of the fall of top-1, paired: images that both or neither got right only count as images.

    Args:
        model_only: images that only the model got right.
        file_only: images that only the file got right.
        num_images: all images, 1 or more.

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data":
    one image is added to each of the two kinds, so that few or no differing answers do not make the interval vanish.
    """
    num = num_images + 2
    lost, gained = (model_only + 1) / num, (file_only + 1) / num
    half = Z_95 * math.sqrt((lost + gained - (lost - gained) ** 2) / num)
    return max(-1.0, lost - gained - half), min(1.0, lost - gained + half)


def mcnemar_p(model_only: int, file_only: int) -> float:
    """Return the exact two-sided p-value of the hypothesis that both are right equally often.

    Source: McNemar 1947; exact: given that one alone is right, each is it with probability 1/2 (a binomial test).
    """
    num = model_only + file_only
    tail = sum(math.comb(num, count) for count in range(min(model_only, file_only) + 1))
    return min(1.0, float(2 * tail / 2**num))
