"""`info` and `compare-cost`: what is known of a model, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.errors import ConfigError
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
    deployed: CostReport
    """Of the fused form."""
    tags: tuple[Tag, ...]
    """The weights that were named, or all that are known of the model."""


def describe_model(
    source: ModelSource,
    img_size: int | None = None,
    *,
    batch: int = 1,
    dtype: str = "fp32",
    fusion: str = "generic",
) -> Description:
    """Count what a model computes, holds and moves, layer by layer; no weights are made or fetched for it.

    Args:
        source: what `models.resolve` found.
        img_size: side of the input in pixels; what the model, or the weights of its tag, were made for by default.
        batch: images a pass.
        dtype: precision that bytes are counted for.
        fusion: what runs as one kernel, as `cost.count` takes it.

    Raises:
        InputError: it cannot be built or followed at this size.
        UnknownNameError: no such ``dtype`` or ``fusion``.
    """
    side = source.img_size if img_size is None else img_size
    check_img_size(side)
    model = without_memory(source, side)
    report, deployed = (count(form, side, batch=batch, dtype=dtype, fusion=fusion) for form in (model, fuse(model)))
    tags = (source.tag,) if source.tag else tags_of(source.name) if source.entry else ()
    return Description(source=source, img_size=side, report=report, deployed=deployed, tags=tags)


def without_memory(source: ModelSource, img_size: int) -> nn.Module:
    """Build a model on the meta device, where it can be built there."""
    try:
        with torch.device("meta"):
            return source.build(img_size)
    except (RuntimeError, ConfigError):
        if source.spec is not None:
            raise
        return source.build(img_size)  # some of timm's models look at values when they are built
