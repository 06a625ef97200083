"""Spec to spec: widths, resolution."""

from __future__ import annotations

import pytest
import torch

from edgewise.errors import SpecError
from edgewise.models.build import build
from edgewise.models.families.mobilenetv4 import CONV_SMALL, HYBRID_MEDIUM
from edgewise.spec.scale import fit_resolution, make_divisible, scale_width
from edgewise.spec.walk import max_reduction, walk


@pytest.mark.parametrize(
    ("value", "rounded"), [(1, 8), (11.2, 16), (12, 16), (33.6, 32), (44.8, 48), (336, 336), (19.9, 24)]
)
def test_make_divisible(value: float, rounded: int) -> None:
    assert make_divisible(value) == rounded


def test_half_width_has_the_parameters_of_timms() -> None:
    # facts: mobilenetv4_conv_small_050 keeps the stem at 32 and the head at 1280
    half = scale_width(CONV_SMALL, 0.5, scale_stem=False)
    assert sum(p.numel() for p in build(half).parameters()) == 2_238_952


def test_width_out_of_range() -> None:
    with pytest.raises(SpecError, match="width_mult is 0; must lie within"):
        scale_width(CONV_SMALL, 0)


@pytest.mark.parametrize("spec", [CONV_SMALL, HYBRID_MEDIUM])
@pytest.mark.parametrize(
    ("img_size", "reduction"), [(224, 32), (112, 32), (96, 16), (64, 16), (32, 8), (16, 4), (8, 2)]
)
def test_low_resolution_keeps_a_4x4_map(spec, img_size: int, reduction: int) -> None:
    adapted = fit_resolution(spec, img_size)
    assert max_reduction(adapted) == reduction
    assert adapted.img_size == img_size
    with torch.inference_mode():
        assert build(adapted).eval().forward_features(torch.zeros(1, 3, img_size, img_size)).shape[-1] == -(
            -img_size // reduction
        )


def test_low_resolution_changes_strides_only() -> None:
    adapted = fit_resolution(CONV_SMALL, 32)
    for before, after in zip(walk(CONV_SMALL), walk(adapted), strict=True):
        assert before.row.model_copy(update={"stride": 1}) == after.row.model_copy(update={"stride": 1})


def test_too_small_an_input() -> None:
    with pytest.raises(SpecError, match="img_size is 7; must be 8 or more"):
        fit_resolution(CONV_SMALL, 7)
