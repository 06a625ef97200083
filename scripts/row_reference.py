"""The rows of a spec file as tables: every kind, its fields, what they accept and what they mean."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from edgewise.spec.former_rows import TokensSpec
from edgewise.spec.heads import HeadSpec
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import AnyRow, StemSpec


def row_reference() -> str:
    """Return all tables as Markdown."""
    stems = get_args(get_args(StemSpec)[0])
    heads = [get_args(member)[0] for member in get_args(get_args(HeadSpec)[0])]
    rows = get_args(AnyRow)
    parts = ["## The whole network\n", *_tables([ModelSpec, NormSpec, TokensSpec]), "## Rows of the stages\n"]
    parts += [*_tables(rows), f"## Stems\n\nAccepted as `stem`: {_kinds(stems)}.\n"]
    parts += _tables([stem for stem in stems if stem not in rows])
    parts += ["## Heads\n", *_tables(heads), "## Squeeze-and-excitation\n", *_tables([SESpec])]
    return "\n".join(parts)


def _kinds(rows: Any) -> str:
    return ", ".join(f"`{row.model_fields['kind'].default}`" for row in rows)


def _tables(rows: Any) -> Iterator[str]:
    for row in rows:
        yield _table(row)


def _table(row: type[BaseModel]) -> str:
    kind = row.model_fields.get("kind")
    title = f"### `{row.__name__}`" if kind is None else f"### `kind: {kind.default}`"
    summary = (row.__doc__ or "").partition("\n")[0]
    schema = row.model_json_schema()
    meanings = _meanings(row)
    lines = ["| field | accepted | default | meaning |", "|---|---|---|---|"]
    own = [name for name in row.model_fields if name in row.__annotations__]
    for name in dict.fromkeys((*own, *row.model_fields)):
        field = row.model_fields[name]
        if name in ("kind", "format_version"):
            continue
        default = "" if field.is_required() else _default(field.get_default())
        accepted = _accepted(schema["properties"][name])
        lines.append(f"| `{name}` | {accepted} | {default} | {meanings.get(name, '')} |")
    return f"{title}\n\n{summary}\n\n" + "\n".join(lines) + "\n"


def _plain(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value}"


def _default(value: object) -> str:
    if isinstance(value, BaseModel) and not hasattr(value, "kind"):
        return "as below"
    return f"`{_plain(getattr(value, 'kind', value))}`"


def _accepted(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema or "oneOf" in schema:
        options = schema.get("anyOf") or schema["oneOf"]
        if "discriminator" in schema or len(options) > 3:
            return "one of the kinds below"
        return ", or ".join(dict.fromkeys(_accepted(option) for option in options))
    if "enum" in schema:
        return ", ".join(f"`{_plain(value)}`" for value in schema["enum"])
    if "$ref" in schema:
        return f"fields of `{schema['$ref'].rpartition('/')[2]}`"
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _range(schema, "whole number" if kind == "integer" else "number")
    if kind == "array":
        return f"list of up to {schema['maxItems']}, each {_accepted(schema['items'])}"
    return {"boolean": "`true`, `false`", "null": "`null`", "string": "text"}[str(kind)]


def _range(schema: Mapping[str, Any], word: str) -> str:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    above = "above " if "exclusiveMinimum" in schema else ""
    factor = f", a multiple of {schema['multipleOf']}" if "multipleOf" in schema else ""
    return f"{word}, {above}{low:,} to {high:,}{factor}"


def _meanings(row: type[BaseModel]) -> dict[str, str]:
    """Return the text under each field in the source of ``row`` and the classes above it."""
    found: dict[str, str] = {}
    for each in reversed(row.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
            assert isinstance(body, ast.ClassDef)
            for field, text in zip(body.body, body.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    assert isinstance(field.target, ast.Name)
                    found[field.target.id] = _as_in_yaml(str(ast.literal_eval(text.value)))
    return found


def _as_in_yaml(text: str) -> str:
    """Return a docstring's text on one line, with the words that a spec file has for Python's."""
    text = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    for word, yaml in (("None", "`null`"), ("True", "`true`"), ("False", "`false`")):
        text = re.sub(rf"\b{word}\b", yaml, text)
    return text
