"""Counts that others published or that were taken independently of this package, one module a family, each a dict `ORACLES`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """What a catalogue entry must equal to the unit; None and empty where nobody counted."""

    params: int | None = None
    """Trainable parameters of the training form with 1000 classes."""
    params_fused: int | None = None
    """The same with everything folded."""
    macs: Mapping[int, int] = field(default_factory=dict)
    """Multiply-accumulates of the training form, by side of the square input in pixels."""
    macs_fused: Mapping[int, int] = field(default_factory=dict)
    """The same with everything folded."""
