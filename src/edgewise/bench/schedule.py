"""The order in which cases take turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def turns(items: Sequence[Item], round_index: int) -> list[Item]:
    """Return the order of one round: A B C in even rounds, C B A in odd ones.

    A machine that grows steadily slower then slows all cases alike.
    """
    return list(items) if round_index % 2 == 0 else list(reversed(items))
