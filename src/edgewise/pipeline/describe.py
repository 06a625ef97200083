"""`info`: what is known of a model, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.models.pretrained import Tag, tags_of
from edgewise.models.resolve import ModelSource
from edgewise.pipeline.settings import check_img_size
from edgewise.records.cost import CostReport


@dataclass(frozen=True, kw_only=True)
class Description:
    """A model with its cost in both forms."""

    source: ModelSource
    img_size: int
    """Side in pixels that the counts hold for."""
    report: CostReport
    """Of the training form."""
    params_fused: int
    """Of the deployed form."""
    macs_fused: int
    tags: tuple[Tag, ...]
    """The weights that were named, or all that are known of the model."""


def describe_model(source: ModelSource, img_size: int | None = None) -> Description:
    """Count a model's parameters and multiplications, layer by layer; no weights are made or fetched for it.

    Args:
        source: what `models.resolve` found.
        img_size: side of the input in pixels; what the model, or the weights of its tag, were made for by default.

    Raises:
        InputError: it cannot be built at this size.
    """
    side = source.img_size if img_size is None else img_size
    check_img_size(side)
    model = without_memory(source, side)
    report = count(model, side)
    entry = source.entry
    if entry is not None and side == entry.img_size:
        params_fused, macs_fused = entry.params_fused, entry.macs_fused
    else:
        deployed = count(fuse(model), side)
        params_fused, macs_fused = deployed.params, deployed.macs
    tags = (source.tag,) if source.tag else tags_of(source.name) if entry else ()
    return Description(
        source=source, img_size=side, report=report, params_fused=params_fused, macs_fused=macs_fused, tags=tags
    )


def without_memory(source: ModelSource, img_size: int) -> nn.Module:
    """Build a model on the meta device, where it can be built there."""
    try:
        with torch.device("meta"):
            return source.build(img_size)
    except (RuntimeError, NotImplementedError):
        if source.spec is not None:
            raise
        return source.build(img_size)  # some of timm's models look at values when they are built
