"""Every field of every row changes the network, or is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tests.conftest import randomise

from edgewise.errors import SpecError
from edgewise.models.build import BLOCKS, build
from edgewise.spec.former_rows import TokensSpec
from edgewise.spec.heads import ConvHeadSpec, NormLinearHeadSpec, PoolHeadSpec, TokenHeadSpec
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.row import Row, SESpec
from edgewise.spec.rows import TOKEN_ROWS, ConvSpec, FormerSpec, RepViTSpec, RepViTStemSpec

WIDTH = 40
SE = SESpec(ratio=0.25, gate="hard_sigmoid")
SE_ON_THE_SUM = SESpec(ratio=0.25, gate="hard_sigmoid", place="out")

# Fields that a row must be given, or that make its other fields mean something.
BASES: dict[str, dict[str, Any]] = {
    "conv": {"out_chs": WIDTH},
    "ds": {"out_chs": WIDTH, "se": SE},
    "ir": {"out_chs": WIDTH, "se": SE},
    "fused_ib": {"out_chs": WIDTH, "se": SE},
    "uib": {"out_chs": WIDTH, "start_kernel": 3, "se": SE},
    "mqa": {"num_heads": 2, "key_dim": 8, "value_dim": 8, "kv_stride": 2},
    "mhsa": {"num_heads": 2, "key_dim": 8, "value_dim": 8, "kv_stride": 2},
    "repvgg": {"out_chs": WIDTH, "se": SE_ON_THE_SUM},
    "mobileone": {"out_chs": WIDTH, "se": SE_ON_THE_SUM},
    "repvit": {"se": SE_ON_THE_SUM},
    "repvit_down": {"out_chs": WIDTH},
    "repvit_stem": {"out_chs": WIDTH},
    "bneck_lite": {"out_chs": WIDTH, "mid_chs": 2 * WIDTH},
    "former": {"out_chs": WIDTH, "mid_chs": 2 * WIDTH},
    "former_down": {"out_chs": WIDTH, "mid_chs": 2 * WIDTH, "second_mid_chs": 2 * WIDTH},
    "former_uib": {"out_chs": WIDTH, "start_kernel": 3},
}

# Other values for each field; each of them must show, or be refused.
OTHERS: dict[str, tuple[Any, ...]] = {
    "out_chs": (48,),
    "mid_chs": (3 * WIDTH, 2 * WIDTH + 1),
    "second_mid_chs": (3 * WIDTH, 2 * WIDTH + 1),
    "kernel": (1, 5, 7),
    "stride": (1, 2, 4),
    "expand_ratio": (1.0, 3.0),
    "start_kernel": (None, 5),
    "mid_kernel": (None, 5),
    "act": ("relu6", "hard_swish", "swish", "gelu", "prelu", "dynamic_relu"),
    "se": (None,),
    "skip": (False,),
    "pw_act": (True,),
    "num_heads": (1, 4),
    "key_dim": (16,),
    "value_dim": (16,),
    "kv_stride": (1,),
    "kv_kernel": (5, 7),
    "groups": (2, 4),
    "depthwise": (True,),
    "num_branches": (2, 4),
    "legacy": (True,),
}
SE_OTHERS: dict[str, tuple[Any, ...]] = {
    "ratio": (0.5,),
    "act": ("hard_swish",),
    "divisor": (3,),
    "round_limit": (0.0,),
    "gate": ("sigmoid",),
    "place": ("expand", "mid", "out"),
}
KINDS: dict[str, type[Row]] = {row.model_fields["kind"].default: row for row in (*BLOCKS, RepViTStemSpec)}


def _network(row: Row) -> ModelSpec:
    """Return a small network of WIDTH channels around one row."""
    fields: dict[str, Any] = {"name": "one_row", "act": "relu", "num_classes": 3, "img_size": 32}
    conv_stem = ConvSpec(out_chs=WIDTH, stride=2)
    if isinstance(row, RepViTStemSpec):
        return ModelSpec(**fields, stem=row, stages=((RepViTSpec(),),), head=NormLinearHeadSpec())
    if isinstance(row, TOKEN_ROWS):
        tokens = TokensSpec(num_tokens=2, token_dim=16)
        # a second block reads the tokens that the first one leaves
        rows = (row, FormerSpec(out_chs=WIDTH, mid_chs=48))
        return ModelSpec(
            **fields, stem=conv_stem, stages=(rows,), tokens=tokens, head=TokenHeadSpec(conv_chs=64, hidden_chs=32)
        )
    return ModelSpec(**fields, stem=conv_stem, stages=((row,),), head=PoolHeadSpec())


def _fingerprint(spec: ModelSpec) -> tuple[str, tuple[float, ...]]:
    """Return the modules, and the answer that fixed weights give."""
    model = randomise(build(spec)).eval()
    images = torch.randn(1, spec.in_chans, 32, 32, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        return str(model), tuple(model(images).flatten().tolist())


def _changes() -> Iterator[Any]:
    for kind, row in KINDS.items():
        for field in row.model_fields:
            if field == "kind":
                continue
            for value in OTHERS[field]:
                yield pytest.param(kind, field, value, id=f"{kind}.{field}={value}")
        if "se" in row.model_fields:
            for field in SESpec.model_fields:
                for value in SE_OTHERS[field]:
                    yield pytest.param(kind, f"se.{field}", value, id=f"{kind}.se.{field}={value}")


def test_every_kind_has_a_base() -> None:
    assert set(BASES) == set(KINDS)


@pytest.mark.parametrize(("kind", "field", "value"), list(_changes()))
def test_a_changed_field_shows_or_is_refused(kind: str, field: str, value: Any) -> None:
    base = dict(BASES[kind])
    name, _, inner = field.partition(".")
    if inner == "round_limit":
        # 10.4 channels are where the rule shows: 8 would be less than 90 % of it
        base["se"] = SESpec(ratio=0.26, place="out")
    row = KINDS[kind](**base)
    was = getattr(row, name)
    if inner:
        was = was.model_dump()
        value = {**was, inner: value}
    if value == was:
        return
    try:
        changed = _network(KINDS[kind](**{**base, name: value}))
    except SpecError:
        return
    assert _fingerprint(changed) != _fingerprint(_network(row))


HEADS: dict[Row, dict[str, tuple[Any, ...]]] = {
    ConvHeadSpec(hidden_chs=32): {"hidden_chs": (48,), "pool": ("after",), "norm": (False,), "bias": (True,)},
    ConvHeadSpec(hidden_chs=32, norm=False): {"bias": (True,), "pool": ("after",)},
    PoolHeadSpec(): {},
    NormLinearHeadSpec(): {"distilled": (False,)},
    TokenHeadSpec(conv_chs=64, hidden_chs=32): {"conv_chs": (80,), "hidden_chs": (48,), "groups": (2, 3)},
}
TOKENS: dict[str, tuple[Any, ...]] = {
    "num_tokens": (3,),
    "token_dim": (32,),
    "bridge_heads": (4, 3),
    "former_heads": (2, 3),
    "mlp_ratio": (1.0, 0.01),
    "hyper_reduction": (2,),
}
NETWORK: dict[str, tuple[Any, ...]] = {
    "act": ("hard_swish",),
    "norm": (NormSpec(eps=1e-3), NormSpec(momentum=0.01)),
    "layer_scale_init": (0.5,),
    "padding": ("same",),
    "downsample": ("avg", "blur"),
    "tokens": (TokensSpec(),),
    "in_chans": (1,),
    "num_classes": (0, 4),
    "head": (ConvHeadSpec(hidden_chs=32),),
}
NAMES = {"format_version", "name", "img_size"}
"""Fields that describe the network for people and for the preparation of images; no layer depends on them."""


def _shows(spec: ModelSpec, changes: dict[str, Any]) -> None:
    try:
        changed = ModelSpec.model_validate(dict(spec) | changes)
    except ValidationError:
        return
    assert _fingerprint(changed) != _fingerprint(spec)


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_a_changed_head_shows_or_is_refused(head: Row) -> None:
    if not isinstance(head, ConvHeadSpec) or head.norm:
        assert {"kind", *HEADS[head]} == set(type(head).model_fields)
    row = KINDS["former"](**BASES["former"]) if isinstance(head, TokenHeadSpec) else ConvSpec(out_chs=WIDTH)
    stem = RepViTStemSpec(out_chs=WIDTH) if isinstance(head, NormLinearHeadSpec) else ConvSpec(out_chs=WIDTH, stride=2)
    spec = ModelSpec.model_validate(dict(_network(row)) | {"stem": stem, "head": head})
    for field, values in HEADS[head].items():
        for value in values:
            _shows(spec, {"head": dict(head) | {field: value}})


def test_a_changed_field_of_the_tokens_shows_or_is_refused() -> None:
    assert set(TOKENS) == set(TokensSpec.model_fields)
    spec = _network(FormerSpec(**BASES["former"]))
    assert spec.tokens is not None
    for field, values in TOKENS.items():
        for value in values:
            _shows(spec, {"tokens": dict(spec.tokens) | {field: value}})


def test_a_changed_field_of_the_network_shows_or_is_refused() -> None:
    assert {*NETWORK, *NAMES, "stem", "stages"} == set(ModelSpec.model_fields)
    for row in (KINDS["uib"](out_chs=WIDTH, stride=2), ConvSpec(out_chs=WIDTH)):
        for field, values in NETWORK.items():
            for value in values:
                if (field, value) != ("padding", "same") or row.stride > 1:
                    _shows(_network(row), {field: value})
