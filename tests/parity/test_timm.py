"""Every name that timm also has, against timm: same keys, same answers in eval and in train mode, same maps, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
import timm
import torch
from safetensors.torch import save_file
from tests.conftest import randomise
from tests.zoo import ONE_OF_EACH, taken
from torch import nn

import edgewise
from edgewise.models.catalogue import CATALOGUE

NAMES = [name for name in edgewise.list_models() if timm.is_model(name)]
SIDE = 64
FAMILIES = ("mobilenetv[1-4]_*", "tf_mobilenetv3_*", "repvit_*", "mobileone_*", "repvgg_*")
SMALLEST = [
    min((CATALOGUE[name] for name in NAMES if CATALOGUE[name].family == family), key=lambda entry: entry.macs).name
    for family in dict.fromkeys(CATALOGUE[name].family for name in NAMES)
]


class Pair(NamedTuple):
    """One network twice."""

    ours: nn.Module
    theirs: nn.Module


@pytest.fixture(scope="module", params=taken(ONE_OF_EACH, NAMES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Return both with timm's weights, which came through a file: safetensors for every other name, torch's own for the rest."""
    name = request.param
    theirs = randomise(timm.create_model(name, num_classes=37))
    state = theirs.state_dict()
    if NAMES.index(name) % 2:
        file = tmp_path_factory.mktemp("timm") / "timm.safetensors"
        save_file(state, file)
    else:
        file = tmp_path_factory.mktemp("timm") / "timm.pth"
        torch.save(state, file)
    ours = edgewise.create_model(name, num_classes=37)
    report = edgewise.load_weights(ours, file)
    file.unlink()
    assert (report.loaded, report.notes) == (len(state), ())
    return Pair(ours, theirs)


def _images(*size: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


def _close(ours: torch.Tensor, theirs: torch.Tensor, what: str = "") -> None:
    assert ours.shape == theirs.shape, what
    scale = theirs.abs().max()
    assert scale > 1e-3, what
    assert (ours - theirs).abs().max() <= 1e-5 * scale, what


def _all_close(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> None:
    for level, (mine, their) in enumerate(zip(ours, theirs, strict=True)):
        _close(mine, their, f"level {level}")


def _compare(pair: Pair, x: torch.Tensor) -> None:
    """Compare logits, what comes before them, and every map; in train mode each call moves the running statistics of both alike."""
    ours, theirs = pair
    _close(ours(x), theirs(x), "logits")
    mine, their = ours.forward_features(x), theirs.forward_features(x)
    _close(mine, their, "features")
    _close(ours.forward_head(mine, pre_logits=True), theirs.forward_head(their, pre_logits=True), "pre_logits")
    mine, my_maps = ours.forward_intermediates(x)
    their, their_maps = theirs.forward_intermediates(x)
    _close(mine, their, "last")
    _all_close(my_maps, their_maps)


@contextmanager
def _training(pair: Pair) -> Iterator[None]:
    """Put both in train mode, and their running statistics back behind it."""
    kept = [(buffer, buffer.clone()) for model in pair for buffer in model.buffers()]
    for model in pair:
        model.train()
    yield
    for buffer, value in kept:
        buffer.copy_(value)


@pytest.mark.parametrize("pattern", FAMILIES)
def test_no_name_of_timm_is_missing(pattern: str) -> None:
    assert timm.list_models(pattern) == [name for name in timm.list_models(pattern) if name in NAMES] != []


def test_same_answers(pair: Pair) -> None:
    for model in pair:
        model.eval()
    with torch.no_grad():
        _compare(pair, _images(SIDE, SIDE))


def test_same_answers_in_train_mode(pair: Pair) -> None:
    with torch.no_grad(), _training(pair):
        _compare(pair, _images(SIDE, SIDE, batch=4))
        theirs = pair.theirs.state_dict()
        for key, mine in pair.ours.state_dict().items():
            if "running_" in key:
                _close(mine, theirs[key], key)


def test_features_only(pair: Pair) -> None:
    name = pair.ours.spec.name
    ours = edgewise.create_model(name, features_only=True).eval()
    theirs = timm.create_model(name, features_only=True).eval()
    assert ours.feature_info.channels() == theirs.feature_info.channels()
    assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    state = pair.ours.state_dict()
    ours.load_state_dict({key: state[key] for key in ours.state_dict()})
    # timm flattens some of its pyramids: stages_0.1 is stages.0.1
    theirs.load_state_dict({key: state[re.sub(r"^([a-z]+)_(\d+)\.", r"\1.\2.", key)] for key in theirs.state_dict()})
    x = _images(SIDE, SIDE)
    with torch.no_grad():
        _all_close(ours(x), theirs(x))


def test_our_weights_load_into_timm(pair: Pair) -> None:
    name = pair.ours.spec.name
    ours = randomise(edgewise.create_model(name, num_classes=37), seed=2).eval()
    pair.theirs.load_state_dict(ours.state_dict(), strict=True)
    x = _images(SIDE, SIDE)
    with torch.no_grad():
        _close(ours(x), pair.theirs.eval()(x))


@pytest.mark.parametrize("name", [*SMALLEST, "tf_mobilenetv3_small_075", "mobilenetv4_hybrid_medium_075"])
def test_one_training_step_gives_the_same_gradients(name: str) -> None:
    theirs = randomise(timm.create_model(name, num_classes=7)).train()
    ours = edgewise.create_model(name, num_classes=7).train()
    ours.load_state_dict(theirs.state_dict())
    x = _images(SIDE, SIDE, batch=4)
    for model in (ours, theirs):
        nn.functional.cross_entropy(model(x), torch.tensor([0, 1, 2, 3])).backward()
    expected = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        grad, wanted = parameter.grad, expected[key].grad
        assert (grad - wanted).abs().max() <= 2e-4 * wanted.abs().max() + 1e-7, key


@pytest.mark.parametrize(
    "name",
    [
        "tf_mobilenetv3_small_100",
        "tf_mobilenetv3_large_minimal_100",
        "mobilenetv4_conv_aa_medium",
        "mobilenetv4_conv_blur_medium",
        "mobilenetv4_hybrid_medium_075",
    ],
)
@pytest.mark.parametrize("size", [(65, 97), (66, 81), (96, 130)])
def test_other_sizes_pad_alike(name: str, size: tuple[int, int]) -> None:
    """TF's padding depends on whether a map is even; maps of odd size are where pooling rounds."""
    theirs = randomise(timm.create_model(name, num_classes=7)).eval()
    ours = edgewise.create_model(name, num_classes=7).eval()
    ours.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        _compare(Pair(ours, theirs), _images(*size))
