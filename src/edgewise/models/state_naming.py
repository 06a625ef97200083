"""The names that a file may have for the tensors that a model needs: the model's own, or those of a foreign layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.models.foreign.table import FOREIGN_LAYOUTS
from edgewise.spec.model import ModelSpec

BATCH_COUNT = "num_batches_tracked"
"""A norm's counter, which files from before PyTorch 0.4.1 lack; it has no part in the answers."""


@dataclass(frozen=True)
class Naming:
    """One way of naming what a model needs.

    Attributes:
        names: of all tensors that the model needs, as the file would have them.
        required: those of them without which a file cannot be loaded.
        layout: whose names they are; None for the model's own.
    """

    names: frozenset[str]
    required: frozenset[str]
    layout: ForeignLayout | None = None
    renaming: Renaming | None = None

    @property
    def title(self) -> str:
        """Return what these names are, for people."""
        return f"keys of {self.layout.title}" if self.layout else "the model's own keys"


def namings_of(target: Iterable[str], spec: ModelSpec | None) -> list[Naming]:
    """Return all ways in which a file may name the tensors ``target`` of the network of ``spec``, its own first."""
    target = list(target)
    own = frozenset(target)
    namings = [Naming(own, _without_counts(own))]
    for layout in FOREIGN_LAYOUTS if spec else ():
        renaming = layout.renaming(spec) if spec else None
        if renaming:
            names = frozenset(theirs for name in target if (theirs := renaming.theirs(name)))
            namings.append(Naming(names, _without_counts(names), layout, renaming))
    return namings


def recognise(names: Iterable[object]) -> ForeignLayout | None:
    """Return the foreign layout that ``names`` look like, whatever the network; None if they look like none of them."""
    texts = [str(name) for name in names]
    return next((layout for layout in FOREIGN_LAYOUTS if layout.matches(texts)), None)


def _without_counts(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if not name.endswith(f".{BATCH_COUNT}"))
