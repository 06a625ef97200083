"""What is wrong with a spec is said in one line: the place, what was given, what is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgewise.errors import SpecError
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, FormerSpec, UIBSpec
from edgewise.spec.text import parse_spec, spec_from_fields

ALL_KINDS = "conv, ds, ir, fused_ib, uib, mqa, mhsa, repvgg, mobileone, repvit, repvit_down, bneck_lite, former, former_down, former_uib"
STEM = {"kind": "conv", "out_chs": 8}
ROW = {"kind": "uib", "out_chs": 8}


def _spec(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "stem": STEM, "stages": [[ROW]]} | changes


def _row(**fields: Any) -> dict[str, Any]:
    return _spec(stages=[[ROW], [ROW, ROW | fields]])


def _said(fields: dict[str, Any]) -> str:
    with pytest.raises(SpecError) as caught:
        spec_from_fields(fields, "my.yaml")
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("my.yaml: ")
    return text.removeprefix("my.yaml: ")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"expand_ratio": 0}, "expand_ratio is 0; must be > 0"),
        ({"expand_ratio": -1.5}, "expand_ratio is -1.5; must be > 0"),
        ({"expand_ratio": 65}, "expand_ratio is 65; must be <= 64"),
        ({"expand_ratio": float("nan")}, "expand_ratio is nan; must be a finite number"),
        ({"expand_ratio": float("inf")}, "expand_ratio is inf; must be a finite number"),
        ({"expand_ratio": "four"}, "expand_ratio is 'four'; must be a number"),
        ({"expand_ratio": None}, "expand_ratio is empty; must be a number"),
        ({"out_chs": 0}, "out_chs is 0; must be >= 1"),
        ({"out_chs": 8.0}, "out_chs is 8.0; must be a whole number"),
        ({"out_chs": "8"}, "out_chs is '8'; must be a whole number"),
        ({"out_chs": True}, "out_chs is true; must be a whole number"),
        ({"out_chs": [8]}, "out_chs is a list; must be a whole number"),
        ({"out_chs": 10**30}, f"out_chs is {'1' + '0' * 22}…; must be <= 65536"),
        ({"mid_kernel": 4}, "mid_kernel is 4; accepted: 1, 3, 5 or 7"),
        ({"mid_kernel": True}, "mid_kernel: true is no number"),
        ({"stride": False}, "stride: false is no number"),
        ({"skip": 1}, "skip is 1; must be true or false"),
        ({"se": 4}, "se is 4; must be a mapping of fields"),
        ({"se": {"ratio": 2}}, "se.ratio is 2; must be <= 1"),
    ],
)
def test_a_field_of_a_row(fields: dict[str, Any], says: str) -> None:
    assert _said(_row(**fields)) == f"stages[1][1].{says}"


def test_fields_that_contradict_each_other() -> None:
    assert _said(_row(stride=2, mid_kernel=None)) == (
        "stages[1][1]: stride is 2, which needs a depthwise convolution; start_kernel and mid_kernel are both None"
    )


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (_row(expand_ration=3), "unknown field 'stages[1][1].expand_ration'; did you mean 'expand_ratio'?"),
        (
            _row(zzz=3),
            "unknown field 'stages[1][1].zzz'; accepted: act, expand_ratio, kind, mid_kernel, out_chs, se, skip, start_kernel, stride",
        ),
        (_row(se={"ratoi": 0.5}), "unknown field 'stages[1][1].se.ratoi'; did you mean 'ratio'?"),
        (_spec(stemm=STEM), "unknown field 'stemm'; did you mean 'stem'?"),
        (_spec(stages=[[{"kind": "uib"}]]), "stages[0][0].out_chs is missing"),
        (_spec(stages=[[{"kind": "iub", "out_chs": 8}]]), f"stages[0][0].kind is 'iub'; did you mean 'uib'? accepted: {ALL_KINDS}"),
        (_spec(stages=[[{"out_chs": 8}]]), f"stages[0][0].kind is missing; accepted: {ALL_KINDS}"),
        (_spec(stages=[[{"kind": None, "out_chs": 8}]]), f"stages[0][0].kind is missing; accepted: {ALL_KINDS}"),
        (_spec(stages=[[8]]), "stages[0][0] is 8; must be a mapping of fields"),
        (_spec(stages=[ROW]), "stages[0] is a mapping; must be a list"),
        (_spec(stages="none"), "stages is 'none'; must be a list"),
        (_spec(stages=[]), "stages is empty; a network needs at least one"),
        (_spec(stages=[[ROW], []]), "stages[1] is empty; a stage needs at least one row"),
        (_spec(stages=[[ROW] * 1000]), "stages[0] has more than 512 entries, which is the most that is accepted"),
        (_spec(stages=[[ROW]] * 1000), "stages has more than 64 entries, which is the most that is accepted"),
        (_spec(stages=[[ROW] * 400] * 3), "stages has 1200 rows; at most 1024 are accepted"),
        (_spec(stem={"kind": "uib", "out_chs": 8}), "stem.kind is 'uib'; accepted: conv, repvgg, mobileone, repvit_stem"),
        (_spec(head={"kind": "pol"}), "head.kind is 'pol'; did you mean 'pool'? accepted: conv, pool, norm_linear, token"),
        (_spec(head={"pool": "never"}), "head.pool is 'never'; accepted: 'before' or 'after'"),
        (_spec(head=3), "head.kind is missing; accepted: conv, pool, norm_linear, token"),
        (_spec(name="../../x"), "name is '../../x'; accepted: up to 100 letters, digits, '.', '_' and '-'"),
        (_spec(name=3), "name is 3; must be a text"),
        (_spec(format_version=2), "format_version is 2; this version of Edgewise reads 1"),
        (_spec(padding="some"), "padding is 'some'; accepted: 'symmetric' or 'same'"),
        ({"name": "x"}, "stem is missing; stages is missing"),
        (
            _spec(stages=[[ROW | {"stride": 3} for _ in range(7)]]),
            "; ".join(f"stages[0][{n}].stride is 3; accepted: 1 or 2" for n in range(5)) + "; … (7 in all)",
        ),
        (
            _spec(stages=[[{"kind": "repvgg", "out_chs": 8, "groups": 3}]]),
            "stages[0][0].groups is 3, which does not divide 8 channels",
        ),
        (
            _spec(stages=[[{"kind": "mobileone", "out_chs": 12, "depthwise": True}]]),
            "stages[0][0].out_chs is 12; a depthwise row gives a multiple of its 8 input channels",
        ),
        (_spec(stages=[[{"kind": "former", "out_chs": 8, "mid_chs": 8}]]), "stages[0][0].kind is 'former', which reads tokens; set tokens"),
        (_spec(downsample="avg"), "downsample is 'avg', which has no effect where no row of the stages halves the map; leave it out"),
        (
            _spec(stages=[[STEM]], layer_scale_init=0.1),
            "layer_scale_init is 0.1, but no row has a layer scale; leave it out",
        ),
    ],
)  # fmt: skip
def test_a_whole_network(fields: dict[str, Any], says: str) -> None:
    assert _said(fields) == says


def test_a_network_made_in_python_is_named() -> None:
    with pytest.raises(SpecError, match=r"^x: stages\[0\]\[0\].kind is 'former', which reads tokens; set tokens$"):
        ModelSpec(name="x", stem=ConvSpec(out_chs=8), stages=((FormerSpec(out_chs=8, mid_chs=8),),))
    with pytest.raises(SpecError, match=r"^UIBSpec: stride is 3; accepted: 1 or 2$"):
        UIBSpec(out_chs=8, stride=3)  # type: ignore[arg-type]


def test_text_that_is_no_json() -> None:
    with pytest.raises(SpecError, match=r"^model spec: no JSON: EOF while parsing"):
        parse_spec("")
    with pytest.raises(SpecError, match=r"^run: the whole is a list; must be a mapping of fields$"):
        parse_spec("[]", "run")


def test_a_million_rows_are_refused_without_being_built() -> None:
    text = json.dumps(_spec(stages=[[]])).replace("[[]]", "[[" + ",".join(['{"kind":"repvit"}'] * 1_000_000) + "]]")
    with pytest.raises(SpecError, match=r"^big: stages\[0\] has more than 512 entries"):
        parse_spec(text, "big")
