"""The rows of a catalogue model as a run needs them."""

from __future__ import annotations

from edgewise.models import catalogue
from edgewise.spec.model import ModelSpec
from edgewise.spec.scale import fit_resolution, scale_width


def network_spec(
    name: str, *, img_size: int, num_classes: int, width_mult: float = 1.0, in_chans: int = 3
) -> ModelSpec:
    """Return the model's rows, adapted to its width, input and class count.

    Raises:
        UnknownNameError: no such model.
    """
    spec = catalogue.find(name).spec()
    if width_mult != 1.0:
        spec = scale_width(spec, width_mult, scale_head=True)
    spec = fit_resolution(spec, img_size)
    return spec.model_copy(update={"num_classes": num_classes, "in_chans": in_chans})
