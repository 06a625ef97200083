"""RepViT without its second head, counted."""

from __future__ import annotations

import pytest
import torch
from tests.facts.oracles.repvit import ONE_HEAD

import edgewise
from edgewise.models.build import build
from edgewise.models.catalogue import CATALOGUE
from edgewise.spec.heads import NormLinearHeadSpec


@pytest.mark.parametrize("name", ONE_HEAD)
def test_counts(name: str) -> None:
    oracle = ONE_HEAD[name]
    with torch.device("meta"):
        model = build(CATALOGUE[name].spec().model_copy(update={"head": NormLinearHeadSpec(distilled=False)}))
    for form, params, macs_at in (
        (model, oracle.params, oracle.macs),
        (model.fuse(), oracle.params_fused, oracle.macs_fused),
    ):
        report = edgewise.count(form, 224)
        assert (report.params, report.macs) == (params, macs_at[224])
