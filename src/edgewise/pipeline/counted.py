"""A model by name, counted in the form that is deployed."""

from __future__ import annotations

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.models.resolve import ModelSource
from edgewise.pipeline.describe import without_memory
from edgewise.pipeline.settings import check_img_size
from edgewise.records.cost import CostReport


def count_deployed(
    source: ModelSource, *, img_size: int | None = None, batch: int = 1, dtype: str = "fp32", fusion: str = "generic"
) -> CostReport:
    """Count a model with its norms folded and its branches joined; no weights are made for it.

    Args:
        source: what `models.resolve` found.
        img_size: side of the input in pixels; the model's own by default.
        batch: images in one call.
        dtype: precision that bytes are counted for.
        fusion: as in `cost.fusion.FUSIONS`.

    Raises:
        InputError: it cannot be built or run at this size.
        UnknownNameError: no such ``dtype`` or ``fusion``.
    """
    side = source.img_size if img_size is None else img_size
    check_img_size(side)
    report = count(fuse(without_memory(source, side).eval()), side, batch=batch, dtype=dtype, fusion=fusion)
    return report.model_copy(update={"model": source.name})
