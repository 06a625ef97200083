"""Which families cannot be written in which formats, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

EXCEPTIONS: Mapping[tuple[str, str], str] = MappingProxyType({})
"""(family, format) and the reason, as a user reads it; all other pairs work. `benchmarks/export_matrix.py` tries them all, its record
is `results/export_matrix.json`, and a test holds the two together."""
