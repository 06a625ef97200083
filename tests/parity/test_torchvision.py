"""MobileNetV2 and V3 under torchvision's names, against torchvision, from its own key layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from tests.conftest import randomise
from torch import nn

import edgewise
from edgewise.models.foreign.convert import convert_state_dict

NAMES = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")


def _pair(name: str, folder: Path) -> tuple[nn.Module, nn.Module]:
    """Return ours and theirs with the same weights, and no dropout in theirs."""
    theirs = randomise(torchvision.models.get_model(name, num_classes=11, dropout=0.0))
    file = folder / "torchvision.safetensors"
    save_file(theirs.state_dict(), file)
    ours = edgewise.create_model(name, num_classes=11)
    report = edgewise.load_weights(ours, file)
    assert not any("batch norm" in note for note in report.notes), "the entry is to have its settings already"
    return ours, theirs


def _images(*size: int) -> torch.Tensor:
    return torch.randn(4, 3, *size, generator=torch.Generator().manual_seed(1))


def _close(ours: torch.Tensor, theirs: torch.Tensor, what: str = "") -> None:
    assert ours.shape == theirs.shape, what
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max(), what


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_same_answers(name: str, tmp_path: Path) -> None:
    ours, theirs = _pair(name, tmp_path)
    for model in (ours, theirs):
        model.eval()
    for size in ((64, 64), (65, 97)):
        x = _images(*size)
        _close(ours(x), theirs(x), "logits")
        maps = ours.forward_intermediates(x, intermediates_only=True)
        reached = {stage.shape: stage for stage in _stages(theirs, x)}
        for level in maps:
            _close(level, reached[level.shape], f"map of {tuple(level.shape)}")


def _stages(theirs: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the map behind every child of torchvision's `features`."""
    maps = []
    for child in theirs.features:
        x = child(x)
        maps.append(x)
    return maps


@pytest.mark.parametrize("name", NAMES)
def test_one_training_step_agrees(name: str, tmp_path: Path) -> None:
    """Logits, running statistics (torchvision's V3 has a momentum of its own) and gradients."""
    ours, theirs = _pair(name, tmp_path)
    logits = []
    for model in (ours, theirs):
        logits.append(model.train()(_images(64, 64)))
        nn.functional.cross_entropy(logits[-1], torch.tensor([0, 1, 2, 3])).backward()
    _close(*logits)
    # both hold their norms in the order in which they run
    for index, (mine, their) in enumerate(zip(_norms(ours), _norms(theirs), strict=True)):
        _close(mine.running_mean, their.running_mean, f"norm {index}")
        _close(mine.running_var, their.running_var, f"norm {index}")
        wanted = their.weight.grad
        assert (mine.weight.grad - wanted).abs().max() <= 2e-4 * wanted.abs().max() + 1e-7, f"norm {index}"
    wanted = theirs.classifier[-1].weight.grad
    assert (ours.classifier.weight.grad - wanted).abs().max() <= 2e-4 * wanted.abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_our_weights_load_into_torchvision(name: str) -> None:
    ours = randomise(edgewise.create_model(name, num_classes=11), seed=2).eval()
    theirs = torchvision.models.get_model(name, num_classes=11).eval()
    theirs.load_state_dict(convert_state_dict(ours, "torchvision"), strict=True)
    x = _images(64, 64)
    with torch.no_grad():
        _close(ours(x), theirs(x))
