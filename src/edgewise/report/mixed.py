"""A file in mixed precision, in words."""

from __future__ import annotations

from collections.abc import Sequence

from edgewise.records.artifact import LayerPrecision


def layers_sentence(layers: Sequence[LayerPrecision]) -> str:
    """Say how many layers stayed in float; empty where all have the file's precision."""
    kept = sum(layer.in_float for layer in layers)
    return f"{kept} of {len(layers)} layers stayed in float, the most sensitive ones" if layers else ""


def telling_layers(layers: Sequence[LayerPrecision], num_more: int = 5) -> tuple[LayerPrecision, ...]:
    """Return the layers that stayed in float and the ``num_more`` most sensitive ones after them."""
    return tuple(layers[: sum(layer.in_float for layer in layers) + num_more])
