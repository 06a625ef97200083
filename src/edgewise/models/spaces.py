"""Search spaces by name or from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewise.errors import SpecError, shown
from edgewise.models import catalogue
from edgewise.models.spec_file import is_spec_file, read_fields, read_spec_file
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import UIBSpec
from edgewise.spec.space import SearchSpace, space_from_fields

KERNELS = (None, 3, 5)
"""Of each of the two depthwise layers: absent, 3 x 3 or 5 x 5 (MobileNetV4, section 5.1: the second stage of its search)."""


def find_space(name: str) -> SearchSpace:
    """Return a space from a YAML or JSON file with ``base`` and ``choices``, or the one around a model of the catalogue, see `uib_space`.

    Raises:
        UnknownNameError: there is no such model.
        SpecError: the file describes no space that can be built, or the model has no block to choose.
    """
    if not is_spec_file(name):
        return uib_space(catalogue.find(name).spec())
    where = shown(name)
    fields = read_fields(Path(name), where)
    base = str(fields.get("base", ""))
    if not base:
        raise SpecError(f"{where}: base is missing; must be a model of the catalogue or a spec file")
    try:
        spec = read_spec_file(Path(name).parent / base) if is_spec_file(base) else catalogue.find(base).spec()
    except SpecError as error:
        raise SpecError(f"{where}: base: {error}") from error
    return space_from_fields(fields, spec, where)


def uib_space(base: ModelSpec) -> SearchSpace:
    """Return the second stage of MobileNetV4's search around ``base``: presence and kernel of both depthwise layers of every UIB.

    Each block has nine options, or as many as its stride allows: something has to stride.

    Raises:
        SpecError: ``base`` has no such block.
    """
    choices: dict[str, tuple[Any, ...]] = {}
    for stage, rows in enumerate(base.stages):
        for place, row in enumerate(rows):
            if isinstance(row, UIBSpec):
                forms = [(start, mid) for start in KERNELS for mid in KERNELS if row.stride == 1 or start or mid]
                choices[f"stages[{stage}][{place}]"] = tuple(
                    row.model_dump(mode="json") | {"start_kernel": start, "mid_kernel": mid} for start, mid in forms
                )
    if not choices:
        raise SpecError(f"{base.name} has no universal inverted bottleneck to choose; give a file with choices")
    return SearchSpace(name=f"{base.name}_uib", base=base, choices=choices)
