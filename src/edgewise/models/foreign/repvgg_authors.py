"""RepVGG as its authors publish it: ``stage0.rbr_dense.conv``, and ``stage0.rbr_reparam`` fused.

Source: DingXiaoH/RepVGG:repvgg.py and se_block.py.
"""

from __future__ import annotations

import re

from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.models.foreign.numbered_stages import numbered_stages
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.rep_rows import RepVGGSpec

PARTS = {
    "conv_kxk": "rbr_dense",
    "conv_1x1": "rbr_1x1",
    "identity": "rbr_identity",
    "attn.fc1": "se.down",
    "attn.fc2": "se.up",
    "reparam_conv": "rbr_reparam",
}
"""Modules of a row, ours to theirs."""


def _renaming(spec: ModelSpec) -> Renaming | None:
    return numbered_stages(spec, RepVGGSpec, PARTS)


REPVGG_AUTHORS = ForeignLayout(
    origin="authors",
    title="the authors' RepVGG",
    pattern=re.compile(r"(?:^|\.)stage\d+\.(?:\d+\.)?(?:rbr_dense|rbr_1x1|rbr_identity|rbr_reparam)\."),
    renaming=_renaming,
    norm=NormSpec(),
    has_deployed_form=True,
)
