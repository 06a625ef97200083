"""MobileOne as its authors publish it: ``stage0.rbr_conv.0.conv``, and ``stage0.reparam_conv`` fused.

Source: apple/ml-mobileone:mobileone.py.
"""

from __future__ import annotations

import re

from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.models.foreign.numbered_stages import numbered_stages
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.rep_rows import MobileOneSpec

PARTS = {
    "conv_kxk": "rbr_conv",
    "conv_scale": "rbr_scale",
    "identity": "rbr_skip",
    "attn.fc1": "se.reduce",
    "attn.fc2": "se.expand",
    "reparam_conv": "reparam_conv",
}
"""Modules of a row, ours to theirs."""


def _renaming(spec: ModelSpec) -> Renaming | None:
    return numbered_stages(spec, MobileOneSpec, PARTS)


MOBILEONE_AUTHORS = ForeignLayout(
    origin="authors",
    title="the authors' MobileOne",
    pattern=re.compile(r"(?:^|\.)stage\d+\.(?:\d+\.)?(?:rbr_conv|rbr_scale|rbr_skip|reparam_conv)\."),
    renaming=_renaming,
    norm=NormSpec(),
    has_deployed_form=True,
)
