"""Which function draws which row, and what the forms of a row are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgewise.report.diagram.former_parts import bneck_lite_parts, former_down_parts, former_parts, former_uib_parts
from edgewise.report.diagram.mobilenet_parts import (
    attention_parts,
    conv_parts,
    ds_parts,
    fused_ib_parts,
    ir_parts,
    uib_parts,
)
from edgewise.report.diagram.parts import Chain, Lanes
from edgewise.report.diagram.pieces import Place
from edgewise.report.diagram.rep_parts import (
    mobileone_parts,
    repvgg_parts,
    repvit_down_parts,
    repvit_parts,
    repvit_stem_parts,
)
from edgewise.spec.row import Row
from edgewise.spec.rows import (
    BneckLiteSpec,
    ConvSpec,
    DepthwiseSeparableSpec,
    FormerDownSpec,
    FormerSpec,
    FormerUIBSpec,
    FusedIBSpec,
    InvertedResidualSpec,
    MHSASpec,
    MobileOneSpec,
    MQASpec,
    RepVGGSpec,
    RepViTDownSpec,
    RepViTSpec,
    RepViTStemSpec,
    UIBSpec,
)

PARTS: Mapping[type[Row], Callable[[Any, Place], Chain | Lanes]] = MappingProxyType(
    {
        ConvSpec: conv_parts,
        DepthwiseSeparableSpec: ds_parts,
        InvertedResidualSpec: ir_parts,
        FusedIBSpec: fused_ib_parts,
        UIBSpec: uib_parts,
        MQASpec: attention_parts,
        MHSASpec: attention_parts,
        RepVGGSpec: repvgg_parts,
        MobileOneSpec: mobileone_parts,
        RepViTSpec: repvit_parts,
        RepViTDownSpec: repvit_down_parts,
        RepViTStemSpec: repvit_stem_parts,
        BneckLiteSpec: bneck_lite_parts,
        FormerSpec: former_parts,
        FormerDownSpec: former_down_parts,
        FormerUIBSpec: former_uib_parts,
    }
)
"""Each returns what its row's block does, step by step."""


def parts_of(row: Row, at: Place) -> Chain | Lanes:
    """Return the drawing of ``row`` at its place in a network."""
    return PARTS[type(row)](row, at)
