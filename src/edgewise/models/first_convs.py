"""Turning the convolutions that see the image into ones for another number of channels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from edgewise.errors import shown
from edgewise.models.layout import Layout
from edgewise.models.state_candidates import is_plain

IMAGE_CHANS = (1, 3, 4)
"""Channels that a file may be for: grey, RGB, RGB with a fourth."""


def adapt_first_convs(model: nn.Module, entries: dict[str, Any], target: dict[str, Tensor]) -> list[str]:
    """Adapt the weights in ``entries`` of all convolutions that see the image to the channels that ``model`` takes.

    Their responses keep their scale.

    Returns:
        What was done, for people.

    Source: timm/models/_manipulate.py:adapt_input_conv (1.0.31): to 1 channel by summing, to others by repeating, times the
    ratio of channels.
    """
    notes = []
    for name in _names(model):
        given, wanted = entries.get(name), target.get(name)
        if isinstance(given, Tensor) and is_plain(given) and wanted is not None and _differs_in_input(given, wanted):
            entries[name], how = _adapted(given, wanted.shape[1])
            notes.append(f"{shown(name)} adapted from {given.shape[1]} to {wanted.shape[1]} input channels ({how})")
    return notes


def _names(model: nn.Module) -> Iterator[str]:
    """Yield the weights of the convolutions that see the image: several where the stem has branches."""
    convs = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    layout = getattr(model, "layout", None)
    if isinstance(layout, Layout):
        convs = [(path, conv) for path, conv in convs if path.partition(".")[0] in layout.stem]
        convs = [(path, conv) for path, conv in convs if conv.in_channels == getattr(model, "in_chans", None)]
    else:
        convs = convs[:1]
    yield from (f"{path}.weight" for path, conv in convs if conv.groups == 1)


def _differs_in_input(given: Tensor, wanted: Tensor) -> bool:
    return (
        given.dim() == 4
        and given.is_floating_point()
        and given.shape[1] in IMAGE_CHANS
        and given.shape[1] != wanted.shape[1]
        and given.shape[0] == wanted.shape[0]
        and given.shape[2:] == wanted.shape[2:]
    )


def _adapted(given: Tensor, in_chs: int) -> tuple[Tensor, str]:
    full, given_chs = given.float(), given.shape[1]
    if in_chs == 1:
        return full.sum(dim=1, keepdim=True).to(given.dtype), "summed"
    repeated = full.repeat(1, math.ceil(in_chs / given_chs), 1, 1)[:, :in_chs]
    return (repeated * (given_chs / in_chs)).to(given.dtype), f"repeated, times {given_chs}/{in_chs}"
