"""Which models of the catalogue a test takes: one of each structure in `make test`, all of them in `make test-zoo`."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

import edgewise
from edgewise.models.catalogue import CATALOGUE, FAMILIES

NAMES = edgewise.list_models()
MOST_PARAMS = 30_000_000
"""Of a model that `make test` builds: with more, drawing and copying weights takes the time."""


def _structure(value: object) -> object:
    """What of a spec decides which code runs: all but how often and how wide; of numbers, whether they are above 1."""
    if isinstance(value, dict):
        return tuple(sorted((key, _structure(part)) for key, part in value.items() if key != "name"))
    if isinstance(value, (list, tuple)):
        return frozenset(map(_structure, value))
    if isinstance(value, float):
        return float
    return value > 1 if isinstance(value, int) and not isinstance(value, bool) else value


def _one_of_each_structure() -> list[str]:
    """The smallest model of each; all of another name's code paths are met in the one of its structure."""
    large_to_small = sorted(NAMES, key=lambda name: -CATALOGUE[name].macs)
    return sorted({_structure(CATALOGUE[name].spec().model_dump()): name for name in large_to_small}.values())


ONE_OF_EACH = _one_of_each_structure()
LIGHT = [name for name in ONE_OF_EACH if CATALOGUE[name].params <= MOST_PARAMS]
SMALLEST = [min(entries, key=lambda entry: entry.macs).name for entries in FAMILIES.values()]
"""Of each family."""


def taken(always: Collection[str], names: Iterable[str] = NAMES) -> list[Any]:
    """Return ``names`` as parameters of a test, which `make test` leaves out but for those of ``always``."""
    return [name if name in always else pytest.param(name, marks=pytest.mark.zoo) for name in names]
