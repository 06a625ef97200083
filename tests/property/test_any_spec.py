"""Whatever the checks let pass can be built, run, trained a step and fused: drawn from the types of the rows' own fields."""

from __future__ import annotations

import random
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import torch
from pydantic import BaseModel

from edgewise.errors import SpecError
from edgewise.models.build import build
from edgewise.spec.former_rows import TokensSpec
from edgewise.spec.heads import TokenHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import TOKEN_ROWS, AnyRow, StemSpec

INTS = (1, 2, 3, 4, 6, 8, 16, 24, 40)
FLOATS = (0.001, 0.1, 0.25, 0.9, 1.0, 1.5, 2.0, 4.0, 6.3)
ROWS = get_args(AnyRow)
STEMS = get_args(get_args(StemSpec)[0])


def _value(kind: Any, draw: random.Random) -> Any:
    """Return a value of the annotated type ``kind``, most often one in its range."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _value(get_args(kind)[0], draw)
    if origin is Literal:
        return draw.choice(get_args(kind))
    if origin in (types.UnionType, typing.Union):
        return _value(draw.choice(get_args(kind)), draw)
    if kind is types.NoneType:
        return None
    if kind is bool:
        return draw.random() < 0.5
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _fields(kind, draw)
    return draw.choice({int: INTS, float: FLOATS}[kind])


def _fields(row: type[BaseModel], draw: random.Random) -> dict[str, Any]:
    hints = typing.get_type_hints(row, include_extras=True)
    return {
        name: _value(hints[name], draw)
        for name, field in row.model_fields.items()
        if field.is_required() or name == "kind" or draw.random() < 0.5
    }


def _drawn(row: type[BaseModel], draw: random.Random) -> dict[str, Any]:
    hints = typing.get_type_hints(ModelSpec, include_extras=True)
    rows = [row, *(draw.choice(ROWS) for _ in range(draw.choice((0, 1))))]
    whole = {
        "name": "drawn",
        "stem": _fields(draw.choice(STEMS), draw),
        "stages": [[_fields(row, draw)] for row in rows],
        "num_classes": 3,
    }
    for field in ("act", "layer_scale_init", "padding", "downsample", "head"):
        if draw.random() < 0.3:
            whole[field] = _value(hints[field], draw)
    if any(row in TOKEN_ROWS for row in rows):
        whole |= {"tokens": _fields(TokensSpec, draw), "head": _fields(TokenHeadSpec, draw)}
    return whole


def _accepted(row: type[BaseModel], draw: random.Random, how_many: int) -> Iterator[ModelSpec]:
    while how_many:
        try:
            spec = ModelSpec(**_drawn(row, draw))
        except SpecError:
            continue
        how_many -= 1
        yield spec


@pytest.mark.parametrize("row", ROWS)
def test_what_is_accepted_works(row: type[BaseModel]) -> None:
    for spec in _accepted(row, random.Random(row.__name__), 6):
        torch.manual_seed(0)
        x = torch.randn(2, 3, 32, 32)
        model = build(spec).train()
        model(x).square().mean().backward()
        with torch.inference_mode():
            wanted = model.eval()(x)
            got = model.fuse()(x)
        assert wanted.shape == (2, 3), spec
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()), msg=str(spec))
        assert ModelSpec.model_validate_json(spec.model_dump_json()) == spec
