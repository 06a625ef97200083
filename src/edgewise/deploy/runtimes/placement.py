"""Where the operators of a loaded file run, where its runtime can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol, runtime_checkable


@runtime_checkable
class TellsPlacement(Protocol):
    """A session that knows what runs its operators."""

    def placement(self) -> dict[str, int]:
        """Return how many operators each engine (delegate, provider, precision) runs; larger shares come first."""
        ...


def counted(engines: Iterable[str]) -> dict[str, int]:
    """Return how often each engine comes, the most frequent first."""
    return dict(Counter(engines).most_common())
