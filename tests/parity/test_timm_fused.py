"""The re-parameterisable families once they are folded, and the members that timm has no names for, against timm."""

from __future__ import annotations

import pytest
import timm
import torch
from tests.conftest import randomise
from tests.zoo import ONE_OF_EACH, taken
from timm.models.byobnet import ByobNet, ByoModelCfg, _rep_vgg_bcfg
from timm.models.repvit import RepVit
from timm.utils import reparameterize_model
from torch import nn

import edgewise
from edgewise.models.build import build
from edgewise.models.catalogue import CATALOGUE
from edgewise.spec.heads import NormLinearHeadSpec

NAMES = [name for name in edgewise.list_models() if CATALOGUE[name].family in ("repvgg", "mobileone", "repvit")]
GROUPED = {
    "repvgg_b1g2": (2.0, 2.0, 2.0, 4.0),
    "repvgg_b2g2": (2.5, 2.5, 2.5, 5.0),
    "repvgg_b3g2": (3.0, 3.0, 3.0, 5.0),
}
"""Width multipliers of the members that timm's class can be but has no name for."""


def theirs_of(name: str) -> nn.Module:
    if name in GROUPED:
        blocks = _rep_vgg_bcfg(wf=GROUPED[name], groups=2)
        return ByobNet(ByoModelCfg(blocks=blocks, stem_type="rep", stem_chs=64), num_classes=5)
    if name == "repvit_m0_6":
        return RepVit(embed_dim=(40, 80, 160, 320), depth=(1, 1, 8, 1), num_classes=5)
    return timm.create_model(name, num_classes=5)


def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def check_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize("name", taken(ONE_OF_EACH, NAMES))
def test_fused_weights_are_timms(name: str) -> None:
    """The weights are compared, not the logits: deep networks with random weights magnify the last bit of either."""
    theirs = randomise(theirs_of(name)).eval()
    ours = edgewise.create_model(name, num_classes=5).eval()
    ours.load_state_dict(theirs.state_dict())
    fused, their_fused = ours.fuse(), reparameterize_model(theirs)
    wanted = their_fused.state_dict()
    for key, tensor in fused.state_dict().items():
        check_close(tensor, wanted[key])
    their_fused.load_state_dict(fused.state_dict())
    fused.load_state_dict(wanted)


@pytest.mark.parametrize("name", [*GROUPED, "repvit_m0_6"])
def test_members_without_a_name_in_timm(name: str) -> None:
    theirs = randomise(theirs_of(name)).eval()
    ours = edgewise.create_model(name, num_classes=5).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.inference_mode():
        check_close(ours(images()), theirs(images()))


@pytest.mark.parametrize("name", ["repvit_m0_9", "repvit_m1"])
def test_one_head(name: str) -> None:
    theirs = randomise(timm.create_model(name, num_classes=5, distillation=False)).eval()
    spec = CATALOGUE[name].spec().model_copy(update={"num_classes": 5, "head": NormLinearHeadSpec(distilled=False)})
    ours = build(spec).eval()
    ours.load_state_dict(theirs.state_dict())
    x = images()
    with torch.inference_mode():
        check_close(ours(x), theirs(x))


def test_distilled_training() -> None:
    theirs = randomise(timm.create_model("repvit_m0_9", num_classes=5)).train()
    ours = edgewise.create_model("repvit_m0_9", num_classes=5).train()
    ours.load_state_dict(theirs.state_dict())
    for model in (ours, theirs):
        model.set_distilled_training(True)
    with torch.no_grad():
        for mine, their in zip(ours(images()), theirs(images()), strict=True):
            check_close(mine, their)
