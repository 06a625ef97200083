"""RepViT as its authors publish it: stem and blocks are one numbered list, a downsampling counts as two of them.

Source: THU-MIG/RepViT:model/repvit.py; fused: utils.py:replace_batchnorm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.spec.heads import NormLinearHeadSpec
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.rows import RepViTDownSpec, RepViTSpec, RepViTStemSpec, RowSpec
from edgewise.spec.walk import walk

STEM = {"conv1": "0", "conv2": "2"}
BLOCK = {
    "token_mixer": "token_mixer.0",
    "se.fc1": "token_mixer.1.fc1",
    "se.fc2": "token_mixer.1.fc2",
    "channel_mixer.conv1": "channel_mixer.m.0",
    "channel_mixer.conv2": "channel_mixer.m.2",
}
DOWN = {
    "spatial_downsample": "token_mixer.0",
    "channel_downsample": "token_mixer.2",
    "ffn.conv1": "channel_mixer.m.0",
    "ffn.conv2": "channel_mixer.m.2",
}
HEAD = {"head": "classifier", "head.head": "classifier.classifier", "head.head_dist": "classifier.classifier_dist"}
"""Fused, the head is one linear layer itself."""


def _renaming(spec: ModelSpec) -> Renaming | None:
    if not isinstance(spec.stem, RepViTStemSpec) or not isinstance(spec.head, NormLinearHeadSpec):
        return None
    modules = HEAD | _joined("stem", "features.0", STEM)
    position = 1
    for step in walk(spec):
        ours = f"stages.{step.stage}.{_place_in_stage(spec.stages[step.stage], step.index)}"
        if isinstance(step.row, RepViTDownSpec):
            modules |= _joined(f"{ours}.pre_block", f"features.{position}", BLOCK)
            modules |= _joined(ours, f"features.{position + 1}", DOWN)
            position += 2
        elif isinstance(step.row, RepViTSpec):
            modules |= _joined(ours, f"features.{position}", BLOCK)
            position += 1
        else:
            return None
    return Renaming(modules)


def _place_in_stage(rows: Sequence[RowSpec], index: int) -> str:
    """Return timm's name of a row within its stage, which sets the downsampling apart that a stage begins with."""
    begins_with_down = isinstance(rows[0], RepViTDownSpec)
    if begins_with_down and index == 0:
        return "downsample"
    return f"blocks.{index - begins_with_down}"


def _joined(ours: str, theirs: str, parts: Mapping[str, str]) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{their_part}" for part, their_part in parts.items()}


REPVIT_AUTHORS = ForeignLayout(
    origin="authors",
    title="the authors' RepViT",
    pattern=re.compile(r"(?:^|\.)features\.\d+\.(?:token_mixer|channel_mixer)\."),
    renaming=_renaming,
    norm=NormSpec(),
    has_deployed_form=True,
)
