"""MobileNetV4 against timm: same keys, same logits, same features, both ways."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import save_file
from tests.conftest import randomise

import edgewise

NAMES = edgewise.list_models("mobilenetv4_*")
SIDE = 96


def _close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    scale = theirs.abs().max()
    assert scale > 1e-3
    assert (ours - theirs).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize("name", NAMES)
def test_same_answers_with_timm_weights(name: str, tmp_path) -> None:
    theirs = randomise(timm.create_model(name, num_classes=37)).eval()
    file = tmp_path / "timm.safetensors"
    save_file(theirs.state_dict(), file)
    ours = edgewise.create_model(name, num_classes=37)
    report = edgewise.load_weights(ours, file)
    assert report.loaded == len(theirs.state_dict())
    ours.eval()
    x = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        _close(ours(x), theirs(x))
        _close(
            ours.forward_head(ours.forward_features(x), pre_logits=True),
            theirs.forward_head(theirs.forward_features(x), pre_logits=True),
        )
        features = theirs.forward_intermediates(x, intermediates_only=True)
        for mine, their in zip(ours.forward_intermediates(x, intermediates_only=True), features, strict=True):
            _close(mine, their)


@pytest.mark.parametrize("name", NAMES)
def test_features_only_matches_timm(name: str) -> None:
    theirs = randomise(timm.create_model(name, features_only=True)).eval()
    ours = edgewise.create_model(name, features_only=True).eval()
    ours.load_state_dict(theirs.state_dict())
    assert ours.feature_info.channels() == theirs.feature_info.channels()
    assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    x = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for mine, their, stride in zip(ours(x), theirs(x), ours.feature_info.reduction(), strict=True):
            _close(mine, their)
            assert mine.shape[-1] == SIDE // stride


@pytest.mark.parametrize("name", NAMES)
def test_our_weights_load_into_timm(name: str) -> None:
    ours = randomise(edgewise.create_model(name, num_classes=5), seed=3).eval()
    theirs = timm.create_model(name, num_classes=5)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        _close(ours(x), theirs.eval()(x))


def test_one_training_step_gives_the_same_gradients() -> None:
    theirs = randomise(timm.create_model("mobilenetv4_hybrid_medium", num_classes=7)).train()
    ours = edgewise.create_model("mobilenetv4_hybrid_medium", num_classes=7).train()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    for model in (ours, theirs):
        torch.nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 3])).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        grad, wanted = parameter.grad, expected[name].grad
        assert (grad - wanted).abs().max() <= 2e-4 * wanted.abs().max() + 1e-7, name
