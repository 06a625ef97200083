"""Specs as text: JSON out and in, YAML out, with the place of every fault."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from edgewise.errors import SpecError
from edgewise.spec.faults import describe, kind_of
from edgewise.spec.model import ModelSpec
from edgewise.spec.walk import walk


def dump_spec(spec: ModelSpec) -> str:
    """Return the JSON form of ``spec``, a type tag on every row and the format version with it."""
    return spec.model_dump_json(indent=1)


def parse_spec(text: str | bytes, where: str = "model spec") -> ModelSpec:
    """Read a spec from its JSON form.

    Args:
        text: what `dump_spec` wrote.
        where: named in errors, as in a file's path.

    Raises:
        SpecError: the text is not JSON, a field is unknown, missing or out of range; the message gives the path in the spec.
    """
    try:
        return ModelSpec.model_validate_json(text)
    except ValidationError as error:
        raise SpecError(f"{where}: {describe(error)}") from error


def spec_from_fields(fields: Mapping[str, Any], where: str) -> ModelSpec:
    """Build a spec from what a person wrote: as `parse_spec`, but ``"8"`` and ``8.0`` are no whole numbers, and ``1`` is not true."""
    try:
        return ModelSpec.model_validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        raise SpecError(f"{where}: {describe(error)}") from error


def spec_as_yaml(spec: ModelSpec) -> str:
    """Return ``spec`` as YAML for a person to edit: one row a line, fields left out where they have their defaults."""
    return "\n".join(_lines(spec)) + "\n"


def _lines(spec: ModelSpec) -> Iterator[str]:
    yield f"name: {spec.name}"
    yield f"img_size: {spec.img_size}"
    apart = {"name", "img_size", "stem", "stages", "head"}
    for field, value in _own_fields(spec).items():
        if field not in apart:
            yield f"{field}: {_inline(value)}"
    yield f"stem: {_inline(_own_fields(spec.stem))}"
    yield "stages:"
    reductions = {step.stage: step.reduction for step in walk(spec)}
    for number, rows in enumerate(spec.stages):
        side = -(-spec.img_size // reductions[number])
        yield f"- # stage {number}, to {side} x {side}"
        for row in rows:
            yield f"  - {_inline(_own_fields(row))}"
    yield f"head: {_inline(_own_fields(spec.head))}"


def _own_fields(row: BaseModel) -> dict[str, Any]:
    """Return the fields of ``row`` that differ from their defaults, its kind in front."""
    kind = kind_of(type(row))
    found: dict[str, Any] = {} if kind is None else {"kind": kind}
    for name, field in type(row).model_fields.items():
        value = getattr(row, name)
        if name != "kind" and (field.is_required() or value != field.get_default()):
            found[name] = value
    return found


def _inline(value: Any) -> str:
    """Return ``value`` as YAML on one line."""
    text: str = yaml.safe_dump(_plain(value), default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        value = _own_fields(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
