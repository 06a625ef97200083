"""The layers of a converter's graph: an operator with weights, and what follows up to the next one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of a graph."""

    name: str
    sources: tuple[str, ...]
    """The operators that it takes its inputs from, by name."""
    weights: str | None = None
    """What its weights are called; None where it has none."""


def layers_of(operators: Iterable[Operator]) -> dict[str, tuple[str, ...]]:
    """Return the names of the operators of each layer, by the layer's name, in the order of the graph.

    An operator without weights belongs to the last of the layers that it takes its inputs from; before the first one, to that. A
    layer is called as its weights are in the model, as in ``stages.0.conv``; by its operator where their name was lost.

    Args:
        operators: sorted: each after those that it takes its inputs from.
    """
    layers: list[list[str]] = [[]]
    names: list[str] = []
    place_of: dict[str, int] = {}
    for each in operators:
        if each.weights is not None:
            layers.append([])
            names.append(_name(each, names))
            place = len(layers) - 1
        else:
            place = max((place_of[source] for source in each.sources if source in place_of), default=0)
        layers[place].append(each.name)
        place_of[each.name] = place
    before, *weighted = layers
    if weighted:
        weighted[0] = before + weighted[0]
    return {name: tuple(members) for name, members in zip(names, weighted, strict=True)}


def _name(operator: Operator, taken: list[str]) -> str:
    weights = operator.weights or ""
    name = weights.removesuffix(".weight") if weights.endswith(".weight") else operator.name
    return name if name not in taken else f"{name} ({sum(each.split(' (')[0] == name for each in taken) + 1})"
