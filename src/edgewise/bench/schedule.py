"""The order in which cases take turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def turns(items: Sequence[Item], round_index: int) -> list[Item]:
    """Return the order of one round: A B C, C B A, then B C A, A C B and so on.

    A machine that grows steadily slower then slows all cases alike, and each case comes equally often first, last and directly behind
    itself.
    """
    shift = round_index // 2 % max(1, len(items))
    order = [*items[shift:], *items[:shift]]
    return order if round_index % 2 == 0 else order[::-1]
