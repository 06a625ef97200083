"""Rows refuse what cannot be built, in words that say where."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgewise.errors import SpecError
from edgewise.models.families import mobilenetv4
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, UIBSpec
from edgewise.spec.text import dump_spec, parse_spec


def test_strided_uib_needs_a_depthwise() -> None:
    with pytest.raises(
        SpecError, match=r"stride is 2, which needs a depthwise convolution; start_kernel and mid_kernel are both None"
    ):
        UIBSpec(out_chs=8, stride=2, mid_kernel=None)


@pytest.mark.parametrize(
    "fields",
    [{"out_chs": 0}, {"out_chs": 8, "expand_ratio": 0.0}, {"out_chs": 8, "mid_kernel": 4}, {"out_chs": 8, "se": 1}],
)
def test_bad_fields_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UIBSpec.model_validate(fields)


def test_rows_are_frozen() -> None:
    row = ConvSpec(out_chs=8)
    with pytest.raises(ValidationError):
        row.out_chs = 9  # type: ignore[misc]


def test_json_round_trip() -> None:
    for spec in (mobilenetv4.CONV_SMALL, mobilenetv4.HYBRID_LARGE):
        assert parse_spec(dump_spec(spec)) == spec


def test_json_names_the_place_of_a_typo() -> None:
    text = dump_spec(mobilenetv4.CONV_SMALL).replace('"expand_ratio"', '"expand_ration"', 1)
    with pytest.raises(
        SpecError, match=r"model\.json: unknown field 'stages\[2\]\[0\]\.expand_ration'; did you mean 'expand_ratio'"
    ):
        parse_spec(text, "model.json")


def test_json_of_a_newer_format_is_refused() -> None:
    text = dump_spec(mobilenetv4.CONV_SMALL).replace('"format_version": 1', '"format_version": 2')
    with pytest.raises(SpecError, match="format_version"):
        parse_spec(text)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"name": "x"}'])
def test_no_spec_at_all(text: str) -> None:
    with pytest.raises(SpecError):
        parse_spec(text)


def test_empty_stage_is_refused() -> None:
    with pytest.raises(SpecError, match=r"x: stages\[1\] is empty"):
        ModelSpec(name="x", stem=ConvSpec(out_chs=8), stages=((ConvSpec(out_chs=8),), ()))
