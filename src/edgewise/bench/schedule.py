"""The order in which cases are started and take turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def alternated(items: Sequence[Item], launch: int) -> list[Item]:
    """Return the order in which cases are started: A B C in even launches, C B A in odd ones."""
    return list(items) if launch % 2 == 0 else list(reversed(items))


def turns(items: Sequence[Item], round_index: int) -> list[Item]:
    """Return the order of one round: A B C, C B A, then B C A, A C B and so on.

    A machine that grows steadily slower then slows all cases alike, and each case comes equally often first, last and directly behind
    itself.
    """
    shift = round_index // 2 % max(1, len(items))
    return alternated([*items[shift:], *items[:shift]], round_index)
