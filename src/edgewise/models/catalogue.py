"""The catalogue: every model by name, with exact counts, published accuracy and its source. Imports nothing heavy."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from types import MappingProxyType

from edgewise.errors import UnknownNameError, shown, unknown_name
from edgewise.models.facts import mobilenetv4
from edgewise.models.facts.entry import Entry

FAMILIES: Mapping[str, tuple[Entry, ...]] = MappingProxyType(
    {
        "mobilenetv4": mobilenetv4.ENTRIES,
    }
)
"""Each family's members, in the order in which its paper lists them."""

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {entry.name: entry for entries in FAMILIES.values() for entry in entries}
)

CANDIDATES = (
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "mobilenetv4_hybrid_medium",
    "mobilenetv4_conv_large",
    "mobilenetv4_hybrid_large",
)
"""What is measured when a latency budget chooses the model: trained alike, so that their accuracies compare."""


def list_models(pattern: str = "*") -> list[str]:
    """Return the catalogue's names that match a shell pattern (``mobilenetv4_*``), in alphabetical order."""
    return sorted(fnmatch.filter(CATALOGUE, pattern))


def is_model(name: str) -> bool:
    """Return whether ``name`` is in the catalogue."""
    return name in CATALOGUE


def find(name: str) -> Entry:
    """Return the entry of ``name``.

    Raises:
        UnknownNameError: no such model; the nearest name is suggested.
    """
    try:
        return CATALOGUE[name]
    except (KeyError, TypeError):
        if "." in str(name) and str(name).partition(".")[0] in CATALOGUE:
            raise UnknownNameError(
                f"unknown model {shown(name)}; weights by tag come through load_weights(), "
                f"the model itself is {shown(str(name).partition('.')[0])}"
            ) from None
        raise unknown_name("model", name, CATALOGUE) from None
