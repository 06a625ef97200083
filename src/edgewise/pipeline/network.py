"""The rows of a model as a run needs them."""

from __future__ import annotations

from edgewise.errors import ConfigError, SpecError, shown
from edgewise.models.resolve import resolve
from edgewise.spec.checks import check_rows
from edgewise.spec.model import ModelSpec
from edgewise.spec.scale import fit_resolution, scale_width


def network_spec(
    name: str, *, img_size: int, num_classes: int, width_mult: float = 1.0, in_chans: int = 3
) -> ModelSpec:
    """Return the rows of a model of the catalogue or of a spec file, adapted to its width, input and class count.

    Raises:
        UnknownNameError: no such model.
        SpecError: the spec file cannot be used, or the model cannot have that width.
        InputError: the model has no rows, as those of timm.
        ConfigError: a spec file asks for other channels than the pictures have.
    """
    spec = resolve(name).rows("training")
    if spec.in_chans != in_chans:
        raise ConfigError(f"{shown(name)}: in_chans is {spec.in_chans}; training reads pictures of {in_chans} channels")
    if width_mult != 1.0:
        spec = _scaled(spec, width_mult)
    spec = fit_resolution(spec, img_size)
    return spec.model_copy(update={"num_classes": num_classes, "in_chans": in_chans})


def _scaled(spec: ModelSpec, width_mult: float) -> ModelSpec:
    scaled = scale_width(spec, width_mult, scale_head=True)
    problems = check_rows(scaled)
    if problems:
        raise SpecError(f"width_mult is {width_mult}, at which {spec.name} does not fit together: {problems[0]}")
    return scaled
