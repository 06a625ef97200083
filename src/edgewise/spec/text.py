"""Specs as text: JSON out, JSON or YAML in, with the place of every fault."""

from __future__ import annotations

from pydantic import ValidationError

from edgewise.errors import SpecError
from edgewise.spec.faults import describe
from edgewise.spec.model import ModelSpec


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
