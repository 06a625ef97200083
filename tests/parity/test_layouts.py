"""Every public layout: a checkpoint in it answers as its own network does, and ours loads back into that network.

torchvision's networks are torchvision's. The authors' checkpoints are timm's renamed by the rules written down here, which know
nothing of specs; the rules were held once against the authors' own code (THU-MIG/RepViT 298f420 and 8df4270, apple/ml-mobileone,
DingXiaoH/RepVGG), strictly and both ways. Answers are compared in float64: random weights amplify float32's rounding without bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from tests.conftest import randomise
from timm.utils.model import reparameterize_model
from torch import nn

import edgewise
from edgewise.models import catalogue
from edgewise.models.build import build

CLASSES = 7
State = Mapping[str, torch.Tensor]


def ours(name: str, **fields: object) -> nn.Module:
    return build(catalogue.find(name).spec().model_copy(update={"num_classes": CLASSES, **fields})).double().eval()


def reference(make: Callable[[], nn.Module]) -> nn.Module:
    return randomise(make(), seed=3).double().eval()


def check_same_answers(one: nn.Module, other: nn.Module, bound: float = 1e-9) -> None:
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.inference_mode():
        expected = other(x)
        assert expected.abs().max() > 1e-3
        assert (one(x) - expected).abs().max() <= bound * expected.abs().max()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mobilenet_v2", "mobilenet_v2"),
        ("mobilenetv2_100", "mobilenet_v2"),
        ("mobilenet_v3_large", "mobilenet_v3_large"),
        ("mobilenetv3_large_100", "mobilenet_v3_large"),
        ("mobilenet_v3_small", "mobilenet_v3_small"),
        ("mobilenetv3_small_100", "mobilenet_v3_small"),
    ],
)
def test_torchvision(name: str, theirs: str, tmp_path) -> None:
    def make() -> nn.Module:
        return getattr(torchvision.models, theirs)(num_classes=CLASSES)

    there = reference(make)
    save_file(there.state_dict(), tmp_path / "net.safetensors")
    here = ours(name)
    report = edgewise.load_weights(here, tmp_path / "net.safetensors")
    assert report.loaded == len(there.state_dict())
    check_same_answers(here, there)
    back = make().double().eval()
    back.load_state_dict(edgewise.convert_state_dict(here, "torchvision"))
    assert all(torch.equal(value, there.state_dict()[key]) for key, value in back.state_dict().items())


@pytest.mark.parametrize("width", [0.5, 0.75])
def test_other_widths_of_torchvisions_v2(width: float, tmp_path) -> None:
    there = reference(lambda: torchvision.models.mobilenet_v2(num_classes=CLASSES, width_mult=width))
    save_file(there.state_dict(), tmp_path / "net.safetensors")
    here = ours(f"mobilenetv2_{round(width * 100):03d}")
    edgewise.load_weights(here, tmp_path / "net.safetensors")
    check_same_answers(here, there)


def in_words(name: str, words: Mapping[str, str]) -> str:
    """Replace whole dotted parts of ``name``."""
    pattern = "|".join(re.escape(word) for word in words)
    return re.sub(rf"(?<![^.])(?:{pattern})(?![^.])", lambda match: words[match[0]], name)


def numbered(name: str) -> str:
    """Number the stages as the authors of RepVGG and MobileOne do."""
    return re.sub(r"^stages\.(\d+)", lambda match: f"stage{int(match[1]) + 1}", re.sub(r"^stem\.", "stage0.", name))


def mobileone_authors(state: State) -> dict[str, torch.Tensor]:
    words = {"conv_kxk": "rbr_conv", "conv_scale": "rbr_scale", "identity": "rbr_skip"}
    words |= {"attn.fc1": "se.reduce", "attn.fc2": "se.expand", "head.fc": "linear"}
    return {in_words(numbered(name), words): value for name, value in state.items()}


def repvgg_authors(state: State) -> dict[str, torch.Tensor]:
    words = {"conv_kxk": "rbr_dense", "conv_1x1": "rbr_1x1", "identity": "rbr_identity", "reparam_conv": "rbr_reparam"}
    words |= {"attn.fc1": "se.down", "attn.fc2": "se.up", "head.fc": "linear"}
    return {in_words(numbered(name), words): value for name, value in state.items()}


def repvit_authors(state: State) -> dict[str, torch.Tensor]:
    blocks = [re.match(r"stages\.(\d)\.blocks\.(\d+)\.", name) for name in state]
    depths = [max(int(match[2]) + 1 for match in blocks if match and int(match[1]) == stage) for stage in range(4)]
    # the stem is feature 0, and the downsampling before a stage is two features
    starts = [1 + sum(depths[:stage]) + 2 * stage for stage in range(4)]
    whole = {"stem.conv1": "features.0.0", "stem.conv2": "features.0.2", "head": "classifier"}
    whole |= {"head.head": "classifier.classifier", "head.head_dist": "classifier.classifier_dist"}
    parts = {"token_mixer": "token_mixer.0", "se": "token_mixer.1"}
    parts |= {"spatial_downsample": "token_mixer.0", "channel_downsample": "token_mixer.2"}
    for mixer in ("channel_mixer", "ffn"):
        parts |= {f"{mixer}.conv1": "channel_mixer.m.0", f"{mixer}.conv2": "channel_mixer.m.2"}

    def renamed(name: str) -> str:
        if match := re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.(.*)", name):
            return f"features.{starts[int(match[1])] + int(match[2])}.{in_words(match[3], parts)}"
        if match := re.fullmatch(r"stages\.(\d)\.downsample\.(pre_block\.)?(.*)", name):
            return f"features.{starts[int(match[1])] - (2 if match[2] else 1)}.{in_words(match[3], parts)}"
        path = next(path for path in sorted(whole, key=len, reverse=True) if name.startswith(f"{path}."))
        return name.replace(path, whole[path], 1)

    return {renamed(name): value for name, value in state.items()}


AUTHORS = pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("mobileone_s0", mobileone_authors),
        ("mobileone_s4", mobileone_authors),
        ("repvgg_a0", repvgg_authors),
        ("repvit_m0_9", repvit_authors),
        ("repvit_m1", repvit_authors),
    ],
)


@AUTHORS
@pytest.mark.parametrize("is_fused", [False, True])
def test_authors(name: str, rule: Callable[[State], dict[str, torch.Tensor]], is_fused: bool, tmp_path) -> None:
    there = reference(lambda: timm.create_model(name, num_classes=CLASSES))
    here = ours(name)
    if is_fused:
        # timm's fused RepViT is float32 whatever it was before
        there, here = reparameterize_model(there).double(), here.fuse()
    content = rule(there.state_dict())
    torch.save({"model": content}, tmp_path / "net.pth")
    report = edgewise.load_weights(here, tmp_path / "net.pth")
    assert report.loaded == len(there.state_dict()) == len(content)
    check_same_answers(here, there)
    back = edgewise.convert_state_dict(here, "authors")
    assert back.keys() == content.keys()
    assert all(torch.equal(value, content[key]) for key, value in back.items())


@pytest.mark.parametrize("name", ["repvit_m0_9", "mobileone_s0", "repvgg_a0"])
def test_timms_fused_files_load_and_ours_load_into_timm(name: str, tmp_path) -> None:
    whole = reference(lambda: timm.create_model(name, num_classes=CLASSES))
    there = reparameterize_model(whole).double()
    save_file(there.state_dict(), tmp_path / "net.safetensors")
    here = ours(name).fuse()
    edgewise.load_weights(here, tmp_path / "net.safetensors")
    check_same_answers(here, there)
    trained = ours(name)
    trained.load_state_dict(whole.state_dict())
    there.load_state_dict(trained.fuse().state_dict())
    check_same_answers(there, whole)


def test_a_checkpoint_of_repvits_first_generation_in_the_second(tmp_path) -> None:
    there = reference(lambda: timm.create_model("repvit_m1", num_classes=CLASSES))
    torch.save({"model": repvit_authors(there.state_dict())}, tmp_path / "net.pth")
    here = ours("repvit_m0_9")
    edgewise.load_weights(here, tmp_path / "net.pth")
    check_same_answers(here, there)


def test_mobile_formers_authors_training_checkpoint(tmp_path) -> None:
    source = randomise(ours("mobileformer_52m"), seed=3)
    wrapped = {f"module.{name}": value for name, value in source.state_dict().items()}
    torch.save({"epoch": 449, "arch": "mobile_former_52m", "state_dict": wrapped}, tmp_path / "net.pth.tar")
    here = ours("mobileformer_52m")
    edgewise.load_weights(here, tmp_path / "net.pth.tar")
    check_same_answers(here, source, bound=0.0)
    assert edgewise.convert_state_dict(here, "authors").keys() == source.state_dict().keys()
