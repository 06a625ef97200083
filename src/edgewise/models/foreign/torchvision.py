"""torchvision's MobileNetV2 and MobileNetV3: every block is one numbered feature, and its parts are numbered in order.

Source: torchvision/models/mobilenetv2.py and mobilenetv3.py (0.29), read off their state dicts.
"""

from __future__ import annotations

import re
from typing import Literal

from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.rows import ConvSpec, DepthwiseSeparableSpec, InvertedResidualSpec, RowSpec
from edgewise.spec.walk import walk

CONVS: dict[type, tuple[tuple[str, str], ...]] = {
    DepthwiseSeparableSpec: (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    InvertedResidualSpec: (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}
"""Our names of a block's convolutions and their norms, in the order in which they run."""


def _v2(spec: ModelSpec) -> Renaming | None:
    if not _is_plain(spec, pool="after"):
        return None
    modules = {"conv_stem": "features.0.0", "bn1": "features.0.1", "classifier": "classifier.1"}
    position = 0
    for position, step in enumerate(walk(spec), start=1):
        parts = _v2_parts(step.row)
        if parts is None:
            return None
        for ours, theirs in parts.items():
            modules[f"blocks.{step.stage}.{step.index}.{ours}"] = f"features.{position}.{theirs}"
    modules |= {"conv_head": f"features.{position + 1}.0", "bn2": f"features.{position + 1}.1"}
    return Renaming(modules)


def _v2_parts(row: RowSpec) -> dict[str, str] | None:
    if not isinstance(row, DepthwiseSeparableSpec | InvertedResidualSpec) or not _is_plain_row(row) or row.se:
        return None
    *activated, (project, project_norm) = CONVS[type(row)]
    parts: dict[str, str] = {}
    for index, (conv, norm) in enumerate(activated):
        parts |= {conv: f"conv.{index}.0", norm: f"conv.{index}.1"}
    # the projection has no activation, and no container of its own
    return parts | {project: f"conv.{len(activated)}", project_norm: f"conv.{len(activated) + 1}"}


def _v3(spec: ModelSpec) -> Renaming | None:
    if not _is_plain(spec, pool="before"):
        return None
    modules = {"conv_stem": "features.0.0", "bn1": "features.0.1"}
    modules |= {"conv_head": "classifier.0", "classifier": "classifier.3"}
    for position, step in enumerate(walk(spec), start=1):
        parts = _v3_parts(step.row)
        if parts is None:
            return None
        for ours, theirs in parts.items():
            modules[f"blocks.{step.stage}.{step.index}.{ours}"] = f"features.{position}.{theirs}"
    return Renaming(modules, linear=frozenset({"conv_head"}))


def _v3_parts(row: RowSpec) -> dict[str, str] | None:
    if isinstance(row, ConvSpec):
        return {"conv": "0", "bn1": "1"}
    if not isinstance(row, DepthwiseSeparableSpec | InvertedResidualSpec) or not _is_plain_row(row):
        return None
    *before, (project, project_norm) = CONVS[type(row)]
    parts: dict[str, str] = {}
    for index, (conv, norm) in enumerate(before):
        parts |= {conv: f"block.{index}.0", norm: f"block.{index}.1"}
    index = len(before)
    if row.se:
        parts |= {"se.conv_reduce": f"block.{index}.fc1", "se.conv_expand": f"block.{index}.fc2"}
        index += 1
    return parts | {project: f"block.{index}.0", project_norm: f"block.{index}.1"}


def _is_plain(spec: ModelSpec, *, pool: Literal["before", "after"]) -> bool:
    """Return whether stem and head are V2's or V3's, and maps are padded and halved as torchvision does it."""
    head = spec.head
    return (
        isinstance(spec.stem, ConvSpec)
        and isinstance(head, ConvHeadSpec)
        and (head.pool, head.norm, head.bias) == (pool, pool == "after", pool == "before")
        and (spec.padding, spec.downsample) == ("symmetric", "stride")
    )


def _is_plain_row(row: DepthwiseSeparableSpec | InvertedResidualSpec) -> bool:
    has_plain_se = row.se is None or (row.se.place, row.se.act, row.se.gate) == ("mid", "relu", "hard_sigmoid")
    return row.skip and not getattr(row, "pw_act", False) and has_plain_se


TORCHVISION_V2 = ForeignLayout(
    origin="torchvision",
    title="torchvision's MobileNetV2",
    pattern=re.compile(r"(?:^|\.)features\.\d+\.conv\.\d\.\d\.(?:weight|bias)$"),
    renaming=_v2,
    norm=NormSpec(),
)
TORCHVISION_V3 = ForeignLayout(
    origin="torchvision",
    title="torchvision's MobileNetV3",
    pattern=re.compile(r"(?:^|\.)features\.\d+\.block\.\d\.\d\.(?:weight|bias)$"),
    renaming=_v3,
    norm=NormSpec(eps=1e-3, momentum=0.01),
)
