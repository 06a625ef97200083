"""One model of the catalogue."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewise.spec.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A model's name, exact counts, and what was published of it."""

    name: str
    family: str
    """Module in `edgewise.models.families` that holds the rows; read only when the rows are needed."""
    paper_name: str
    img_size: int
    """Side of the square input in pixels, for which the MACs and the accuracy hold."""
    params: int
    """Trainable parameters of the training form with 1000 classes."""
    params_fused: int
    """The same after `fuse`."""
    macs: int
    """Multiply-accumulates of one forward pass of the training form, batch 1."""
    macs_fused: int
    """The same after `fuse`."""
    top1: float | None
    """Published ImageNet-1k top-1, a fraction: of the paper's own training, or else as `source` says; None where nobody published one."""
    source: str
    """Of `top1`, with table or section; else where the model comes from."""

    def spec(self) -> ModelSpec:
        """Return the model's rows."""
        rows = importlib.import_module(f"edgewise.models.families.{self.family}")
        found: ModelSpec = rows.SPECS[self.name]
        return found
