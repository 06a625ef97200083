"""What pydantic found wrong with a spec, on one line, each fault with its place, what was given and what is accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from edgewise.errors import shown, suggestion

MAX_SHOWN: Final = 5

_MUST_BE: Mapping[str, Callable[[Mapping[str, Any]], str]] = MappingProxyType(
    {
        "greater_than": lambda ctx: f"must be > {ctx['gt']:g}",
        "greater_than_equal": lambda ctx: f"must be >= {ctx['ge']:g}",
        "less_than": lambda ctx: f"must be < {ctx['lt']:g}",
        "less_than_equal": lambda ctx: f"must be <= {ctx['le']:g}",
        "multiple_of": lambda ctx: f"must be a multiple of {ctx['multiple_of']:g}",
        "finite_number": lambda _: "must be a finite number",
        "literal_error": lambda ctx: f"accepted: {ctx['expected']}",
        "int_type": lambda _: "must be a whole number",
        "int_parsing": lambda _: "must be a whole number",
        "int_parsing_size": lambda _: "must be a whole number",
        "int_from_float": lambda _: "must be a whole number",
        "float_type": lambda _: "must be a number",
        "float_parsing": lambda _: "must be a number",
        "bool_type": lambda _: "must be true or false",
        "bool_parsing": lambda _: "must be true or false",
        "string_type": lambda _: "must be a text",
        "string_pattern_mismatch": lambda _: "accepted: up to 100 letters, digits, '.', '_' and '-'",
        "tuple_type": lambda _: "must be a list",
        "dict_type": lambda _: "must be a mapping of fields",
        "model_type": lambda _: "must be a mapping of fields",
        "model_attributes_type": lambda _: "must be a mapping of fields",
    }
)
"""pydantic's type of an error, and our words for what is accepted; whatever else comes keeps pydantic's words."""


def describe(error: ValidationError) -> str:
    """Return the faults in ``error``, each with its place, as in ``stages[2][3].expand_ratio is 0; must be > 0``."""
    details = error.errors()
    more = f"; … ({len(details)} in all)" if len(details) > MAX_SHOWN else ""
    return "; ".join(_problem(detail, error.title) for detail in details[:MAX_SHOWN]) + more


def _problem(detail: Mapping[str, Any], whole: str) -> str:
    path, kind, ctx = spec_path(detail["loc"]), detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(path, detail["loc"], whole)
    if kind == "missing":
        return f"{path} is missing"
    if kind == "value_error":
        # a check of our own; it says itself what was given
        return f"{path}: {ctx['error']}" if path else str(ctx["error"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_kind(path, detail["loc"], ctx.get("tag"))
    if kind == "too_long":
        return f"{path} has more than {ctx['max_length']} entries, which is the most that is accepted"
    if kind in ("json_invalid", "invalid_key"):
        return f"no JSON: {ctx.get('error', detail['msg'])}"
    if path == "format_version":
        return f"format_version is {_given(detail['input'])}; this version of Edgewise reads {ctx.get('expected', 1)}"
    if isinstance(detail["input"], float) and not math.isfinite(detail["input"]):
        kind = "finite_number"
    accepted = _MUST_BE[kind](ctx) if kind in _MUST_BE else str(detail["msg"])
    return f"{path or 'the whole'} is {_given(detail['input'])}; {accepted}"


def _unknown_field(path: str, loc: tuple[int | str, ...], whole: str) -> str:
    holders = [row for row in _all_rows() if (row.__name__ == whole if len(loc) == 1 else kind_of(row) == loc[-2])]
    known = sorted({name for row in holders or _all_rows() for name in row.model_fields})
    accepted = f"; accepted: {', '.join(known)}" if holders else ""
    return f"unknown field {shown(path)}{suggestion(str(loc[-1]), known) or accepted}"


def _unknown_kind(path: str, loc: tuple[int | str, ...], given: str | None) -> str:
    from edgewise.spec.model import ModelSpec

    kinds = kinds_at(str(loc[0]) if loc and loc[0] in ModelSpec.model_fields else "stages")
    place = f"{path}.kind" if path else "kind"
    accepted = f"accepted: {', '.join(kinds)}"
    if given in (None, "None"):  # pydantic's word for null
        return f"{place} is missing; {accepted}"
    return f"{place} is {shown(given, 40)}{suggestion(given, kinds) or ';'} {accepted}"


def _given(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return shown(value, 24)[1:-1]
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else shown(value, 40)


def spec_path(loc: tuple[int | str, ...]) -> str:
    """Return pydantic's location as a place in the spec; the kinds of rows that it names on the way are left out."""
    kinds = {kind_of(row) for row in _all_rows()}
    # fields may be called as kinds are (head.pool), but a kind follows only what there are several kinds of
    before = (None, *loc)
    named = [
        part
        for part, previous in zip(loc, before, strict=False)
        if part not in kinds or not (isinstance(previous, int) or previous in ("stem", "head"))
    ]
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in named)
    return re.sub(r"^\.", "", "".join(parts))


def kind_of(row: type[BaseModel]) -> str | None:
    """Return the tag that tells rows of this class apart in a file; None where there is no choice."""
    field = row.model_fields.get("kind")
    return None if field is None else str(field.default)


def kinds_at(place: str) -> list[str]:
    """Return the kinds that are accepted for a network's ``stem``, ``head`` or, else, for the rows of its stages."""
    from typing import get_args

    from edgewise.spec.heads import HeadSpec
    from edgewise.spec.rows import AnyRow, StemSpec

    union = {"stem": get_args(StemSpec)[0], "head": get_args(HeadSpec)[0]}.get(place, AnyRow)
    classes = [get_args(member)[0] if get_args(member) else member for member in get_args(union)]
    return [kind for each in classes if (kind := kind_of(each)) is not None]


def _all_rows() -> list[type[BaseModel]]:
    from edgewise.spec.row import Row

    found: list[type[BaseModel]] = [Row]
    for row in found:
        found += row.__subclasses__()
    return found
