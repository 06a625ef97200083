"""What pydantic found wrong with a spec, on one line, each fault with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from edgewise.errors import shown, suggestion

MAX_SHOWN: Final = 5


def describe(error: ValidationError) -> str:
    """Return the faults in ``error``, each with its place, as in ``stages[2][3].expand_ratio``."""
    details = error.errors()
    more = f"; … ({len(details)} in all)" if len(details) > MAX_SHOWN else ""
    return "; ".join(_problem(detail) for detail in details[:MAX_SHOWN]) + more


def _problem(detail: Mapping[str, Any]) -> str:
    path = spec_path(detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"unknown field {shown(path)}{suggestion(str(detail['loc'][-1]), sorted(_all_fields()))}"
    if detail["type"] == "value_error":
        # a check of our own; it says itself what was given
        message = str(detail["ctx"]["error"])
        return f"{path}: {message}" if path else message
    return f"{path or 'the whole'}: {detail['msg']}, got {shown(detail['input'], 40)}"


def spec_path(loc: tuple[int | str, ...]) -> str:
    """Return pydantic's location as a place in the spec; the kinds of rows that it names on the way are left out."""
    kinds = {field.default for row in _all_rows() if (field := row.model_fields.get("kind")) is not None}
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if part not in kinds)
    return re.sub(r"^\.", "", "".join(parts))


def _all_rows() -> list[type[BaseModel]]:
    from edgewise.spec.row import Row

    found: list[type[BaseModel]] = [Row]
    for row in found:
        found += row.__subclasses__()
    return found


def _all_fields() -> set[str]:
    return {name for row in _all_rows() for name in row.model_fields}
