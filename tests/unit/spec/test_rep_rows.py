"""Rows of the re-parameterisable families: what does not fit together is refused by its place."""

from __future__ import annotations

import pytest
from tests.tiny_reparam import TINY_MOBILEONE, TINY_REPVGG, TINY_REPVIT

from edgewise.errors import SpecError
from edgewise.models.families import mobileone, repvgg, repvit
from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import ConvSpec, MobileOneSpec, RepVGGSpec, RepViTSpec, RepViTStemSpec
from edgewise.spec.scale import fit_resolution
from edgewise.spec.walk import walk


def changed(spec: ModelSpec, **fields: object) -> ModelSpec:
    return ModelSpec(**(dict(spec) | fields))


@pytest.mark.parametrize(
    ("spec", "fields", "message"),
    [
        (TINY_REPVGG, {"stem": RepVGGSpec(out_chs=8, groups=2)}, r"stem\.groups is 2, which does not divide 3 and 8 channels"),
        (
            TINY_MOBILEONE,
            {"stem": MobileOneSpec(out_chs=8, depthwise=True)},
            r"stem\.out_chs is 8; a depthwise row gives a multiple of its 3 input channels",
        ),
        (TINY_REPVGG, {"stem": RepVGGSpec(out_chs=8, skip=False)}, r"stem\.skip is False, which has no effect at stride 1"),
        (
            TINY_REPVGG,
            {"stages": ((RepVGGSpec(out_chs=8, stride=2, skip=False),),)},
            r"stages\[0\]\[0\]\.skip is False, which has no effect at stride 2 from 8 to 8 channels",
        ),
        (TINY_REPVGG, {"stages": ((RepVGGSpec(out_chs=12, groups=3),),)}, r"stages\[0\]\[0\]\.groups is 3, which does not divide 8"),
        (TINY_REPVGG, {"downsample": "avg"}, r"downsample is 'avg', which rows of kind 'repvgg' do not offer; accepted here: 'stride'"),
        (TINY_REPVIT, {"downsample": "blur"}, r"rows of kind 'repvit_down' do not offer"),
        (TINY_REPVIT, {"padding": "same"}, r"padding is 'same', under which branches cannot be folded"),
        (TINY_REPVIT, {"head": ConvHeadSpec()}, r"head\.kind is 'conv'; with stem\.kind='repvit_stem' accepted: 'pool', 'norm_linear'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(spec: ModelSpec, fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        changed(spec, **fields)


@pytest.mark.parametrize("row", [RepVGGSpec, MobileOneSpec])
def test_squeeze_and_excitation_has_one_place(row: type) -> None:
    with pytest.raises(SpecError, match=r"se\.place is 'mid', but this row has one place for it; accepted: 'out'"):
        row(out_chs=8, se=SESpec())
    with pytest.raises(SpecError, match="accepted: 'out'"):
        RepViTSpec(se=SESpec(place="expand"))


def test_repvit_stem_needs_an_even_width() -> None:
    with pytest.raises(SpecError, match="out_chs"):
        RepViTStemSpec(out_chs=9)


def test_a_dropped_stride_brings_no_branch() -> None:
    """RepVGG-A0's first unit keeps its width: without the stride it would get a batch norm that no weights are for."""
    spec = repvgg.SPECS["repvgg_a0"]
    low = fit_resolution(spec, 32)
    first = low.stages[0][0]
    assert (first.stride, first.skip) == (1, False)
    assert spec.stages[0][0].skip
    # at new widths there is no such branch, and nothing to leave out
    wide = fit_resolution(repvgg.SPECS["repvgg_b1"], 32).stages[0][0]
    assert (wide.stride, wide.skip) == (1, True)
    unit = fit_resolution(mobileone.SPECS["mobileone_s1"], 32).stages[0][0]
    assert (unit.stride, unit.depthwise, unit.skip) == (1, True, False)
    for adapted in (low, fit_resolution(mobileone.SPECS["mobileone_s1"], 32)):
        assert ModelSpec.model_validate(dict(adapted)) == adapted


@pytest.mark.parametrize(("img_size", "stem_stride", "reduction"), [(96, 2, 16), (48, 1, 8), (24, 1, 4)])
def test_repvit_stem_loses_one_of_its_strides_first(img_size: int, stem_stride: int, reduction: int) -> None:
    adapted = fit_resolution(repvit.SPECS["repvit_m0_9"], img_size)
    assert adapted.stem.stride == stem_stride
    assert list(walk(adapted))[-1].reduction == reduction


def test_rep_rows_stand_in_a_mobilenet_too() -> None:
    spec = ModelSpec(name="x", stem=ConvSpec(out_chs=8), stages=((RepVGGSpec(out_chs=8), RepViTSpec()),))
    assert [step.out_chs for step in walk(spec)] == [8, 8]
