"""Random specs: JSON round trip, building, counting; any changed field changes the network."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import edgewise
from edgewise.models.build import build
from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import LAYER_SCALE_ROWS, ConvSpec, FusedIBSpec, MQASpec, UIBSpec
from edgewise.spec.scale import fit_resolution
from edgewise.spec.text import dump_spec, parse_spec
from edgewise.spec.walk import max_reduction, walk

widths = st.sampled_from([8, 16, 24])
kernels = st.sampled_from([3, 5])
strides = st.sampled_from([1, 2])
expansions = st.sampled_from([1.0, 2.0, 4.0])
convs = st.builds(ConvSpec, out_chs=widths, kernel=st.sampled_from([1, 3]), stride=strides)
fused = st.builds(FusedIBSpec, out_chs=widths, kernel=kernels, stride=strides, expand_ratio=expansions)
uibs = st.one_of(
    st.builds(
        UIBSpec,
        out_chs=widths,
        stride=strides,
        expand_ratio=expansions,
        start_kernel=kernels | st.none(),
        mid_kernel=kernels,
    ),
    st.builds(UIBSpec, out_chs=widths, expand_ratio=expansions, start_kernel=kernels | st.none(), mid_kernel=st.none()),
)
attention = st.builds(
    MQASpec,
    num_heads=st.integers(1, 3),
    key_dim=st.sampled_from([4, 8]),
    value_dim=st.sampled_from([4, 8]),
    kv_stride=strides,
)
stages = st.lists(st.one_of(convs, fused, uibs, attention), min_size=1, max_size=3).map(tuple)


def network(layer_scale_init: float | None, **fields: Any) -> ModelSpec:
    """Return a network; a layer scale that no row has would be refused."""
    scaled = any(isinstance(row, LAYER_SCALE_ROWS) for stage in fields["stages"] for row in stage)
    return ModelSpec(**fields, layer_scale_init=layer_scale_init if scaled else None)


specs = st.builds(
    network,
    name=st.just("random"),
    stem=st.builds(ConvSpec, out_chs=widths, kernel=st.just(3), stride=strides),
    stages=st.lists(stages, min_size=1, max_size=3).map(tuple),
    head=st.builds(ConvHeadSpec, hidden_chs=widths),
    act=st.sampled_from(["relu", "gelu"]),
    layer_scale_init=st.sampled_from([None, 0.1]),
    in_chans=st.integers(1, 4),
    num_classes=st.integers(0, 5),
    img_size=st.just(32),
)


@settings(max_examples=25, deadline=None)
@given(spec=specs)
def test_any_spec_builds_counts_and_round_trips(spec: ModelSpec) -> None:
    assert parse_spec(dump_spec(spec)) == spec
    model = build(spec).eval()
    x = torch.randn(2, spec.in_chans, 32, 32)
    with torch.inference_mode():
        out = model(x)
        fused_out = edgewise.fuse(model)(x)
        features = model.forward_features(x)
    assert out.shape == (2, spec.num_classes or spec.head.hidden_chs)
    assert (fused_out - out).abs().max() <= 1e-4 * out.abs().max() + 1e-6
    last = list(walk(spec))[-1]
    assert features.shape[1] == last.out_chs
    report = edgewise.count(model, 32)
    assert report.complete
    assert report.params == sum(p.numel() for p in model.parameters())
    assert report.macs == sum(part.macs for part in report.blocks) == sum(part.macs for part in report.stages)


@settings(max_examples=25, deadline=None)
@given(spec=specs, img_size=st.integers(8, 256))
def test_low_resolution_only_ever_drops_strides(spec: ModelSpec, img_size: int) -> None:
    adapted = fit_resolution(spec, img_size)
    assert max_reduction(adapted) <= max_reduction(spec)
    assert [step.out_chs for step in walk(adapted)] == [step.out_chs for step in walk(spec)]
    assert img_size / max_reduction(adapted) >= 4 or img_size >= 112 or max_reduction(adapted) == 1


@settings(max_examples=20, deadline=None)
@given(row=uibs, data=st.data())
def test_every_field_of_a_uib_row_changes_the_graph(row: UIBSpec, data: st.DataObject) -> None:
    changes = {
        "out_chs": 32,
        "expand_ratio": 6.0,
        "start_kernel": 7,
        "mid_kernel": 7,
        "stride": 2 if row.stride == 1 and (row.mid_kernel or row.start_kernel) else None,
    }
    field = data.draw(st.sampled_from([name for name, value in changes.items() if value is not None]))
    changed = row.model_copy(update={field: changes[field]})

    def fingerprint(each: UIBSpec) -> tuple[list[tuple[int, ...]], int]:
        spec = ModelSpec(name="x", stem=ConvSpec(out_chs=16), stages=((each,),), num_classes=2)
        model = build(spec)
        return [tuple(p.shape) for p in model.parameters()], edgewise.count(model, 16).macs

    assert fingerprint(row) != fingerprint(changed)
