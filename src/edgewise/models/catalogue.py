"""The catalogue: every model by name, with exact counts, published accuracy and its source. Imports nothing heavy."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from edgewise.errors import UnknownNameError, shown, unknown_name
from edgewise.models.facts import (
    mobileformer,
    mobileformer_v4,
    mobilenetv1,
    mobilenetv2,
    mobilenetv3,
    mobilenetv4,
    mobileone,
    repvgg,
    repvit,
)
from edgewise.models.facts.entry import Entry
from edgewise.models.pretrained import has_pretrained

FAMILIES: Mapping[str, tuple[Entry, ...]] = MappingProxyType(
    {
        "mobilenetv1": mobilenetv1.ENTRIES,
        "mobilenetv2": mobilenetv2.ENTRIES,
        "mobilenetv3": mobilenetv3.ENTRIES,
        "mobilenetv4": mobilenetv4.ENTRIES,
        "mobileformer": mobileformer.ENTRIES,
        "mobileformer_v4": mobileformer_v4.ENTRIES,
        "repvit": repvit.ENTRIES,
        "mobileone": mobileone.ENTRIES,
        "repvgg": repvgg.ENTRIES,
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


def list_models(pattern: str = "*", pretrained: bool = False, exclude_filters: str | Sequence[str] = ()) -> list[str]:
    """Return the catalogue's names that match a shell pattern (``mobilenetv4_*``), in alphabetical order.

    Args:
        pattern: of the names to return.
        pretrained: return only those that somebody published weights for.
        exclude_filters: patterns of names to leave out.
    """
    excluded = (exclude_filters,) if isinstance(exclude_filters, str) else exclude_filters
    return sorted(
        name
        for name in fnmatch.filter(CATALOGUE, pattern)
        if not (pretrained and not has_pretrained(name)) and not any(fnmatch.fnmatch(name, each) for each in excluded)
    )


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
                f"unknown model {shown(name)}; behind the dot stands a tag, which names weights: "
                f"the model is {shown(str(name).partition('.')[0])}"
            ) from None
        raise unknown_name("model", name, CATALOGUE) from None
