"""The networks of RepVGG, MobileOne and RepViT: heads, fused surface, names."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise
from tests.tiny_reparam import ONE_HEAD, TINY_MOBILEONE, TINY_REPVGG, TINY_REPVIT
from timm.models import create_model as timm_model
from timm.models import group_parameters
from torch import nn

import edgewise
from edgewise.errors import ConfigError
from edgewise.models.build import build
from edgewise.models.families import repvgg
from edgewise.models.staged_network import NormLinear, StagedNetwork
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import RepViTSpec, UIBSpec

TINY = (TINY_REPVGG, TINY_MOBILEONE, TINY_REPVIT, ONE_HEAD)
by_name = pytest.mark.parametrize("spec", TINY, ids=lambda spec: spec.name)


def _images(batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def _network(spec: ModelSpec, **options: float) -> StagedNetwork:
    torch.manual_seed(0)
    network = build(spec, **options)
    assert isinstance(network, StagedNetwork)
    return network


@by_name
def test_fused_network_keeps_its_surface(spec: ModelSpec) -> None:
    model = randomise(_network(spec)).eval()
    fused = model.reparameterize()
    x = _images()
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), model(x), rtol=1e-4, atol=1e-5)
        features = fused.forward_features(x)
        wanted = model.forward_features(x)
        torch.testing.assert_close(features, wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())
        assert fused.forward_head(features, pre_logits=True).shape == (3, 16)
        torch.testing.assert_close(fused.forward_head(features), fused(x))
        assert [each.shape for each in fused.forward_intermediates(x, intermediates_only=True)] == [
            each.shape for each in model.forward_intermediates(x, intermediates_only=True)
        ]
    for num_classes, shape in ((7, (3, 7)), (0, (3, 16)), (4, (3, 4))):
        fused.reset_classifier(num_classes)
        assert fused(x).shape == shape
        assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in fused.modules())


@by_name
@pytest.mark.parametrize("fused", [False, True])
def test_both_forms_train(spec: ModelSpec, fused: bool) -> None:
    model = _network(spec, drop_path_rate=0.2, drop_rate=0.2)
    model = (model.fuse() if fused else model).train()
    nn.functional.cross_entropy(model(_images()), torch.tensor([0, 1, 2])).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_distilled_training_returns_both_logits() -> None:
    model = randomise(_network(TINY_REPVIT))
    x = _images()
    model.set_distilled_training(True)
    with torch.no_grad():
        first, second = model.train()(x)
        mean = model.eval()(x)
        pooled = model.forward_head(model.forward_features(x), pre_logits=True)
        torch.testing.assert_close(mean, (model.head.head(pooled) + model.head.head_dist(pooled)) / 2)
        assert not torch.equal(first, second)
        model.set_distilled_training(False)
        assert model.train()(x).shape == (3, 5)


@pytest.mark.parametrize(
    "make", [lambda: _network(TINY_REPVGG), lambda: _network(ONE_HEAD), lambda: _network(TINY_REPVIT).fuse()]
)
def test_one_head_cannot_train_distilled(make) -> None:
    with pytest.raises(ConfigError, match=r"has one head; distilled training needs head\.distilled=True"):
        make().set_distilled_training(True)


def test_the_norm_before_the_classifier_has_the_specs_settings() -> None:
    spec = TINY_REPVIT.model_copy(update={"norm": TINY_REPVIT.norm.model_copy(update={"eps": 0.01, "momentum": 0.3})})
    norms = [m for m in _network(spec).modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(0.01, 0.3)}
    assert sum(isinstance(norm, nn.BatchNorm1d) for norm in norms) == 2


@pytest.mark.parametrize("reset", [False, True])
def test_fresh_repvit_heads(reset: bool) -> None:
    model = _network(TINY_REPVIT.model_copy(update={"num_classes": 4000}))
    if reset:
        model.reset_classifier(5000)
    heads = [module for module in model.modules() if isinstance(module, NormLinear)]
    assert len(heads) == 2
    for head in heads:
        assert head.l.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert not head.l.bias.any()
    assert not torch.equal(heads[0].l.weight, heads[1].l.weight)


def test_fresh_linear_head_after_reset() -> None:
    model = _network(TINY_REPVGG)
    model.reset_classifier(5000)
    assert model.head.fc.weight.std().item() == pytest.approx(0.01, rel=0.02)


def test_fresh_channel_mixers_are_identities() -> None:
    weights = [p for name, p in _network(TINY_REPVIT).named_parameters() if name.endswith("conv2.bn.weight")]
    assert [bool(weight.any()) for weight in weights] == [True] + [False] * 5  # the stem's conv2 is none


def test_names_of_stages() -> None:
    model = _network(TINY_REPVIT)
    assert [name for name, _ in model.stages[0].named_children()] == ["blocks"]
    assert [name for name, _ in model.stages[1].named_children()] == ["downsample", "blocks"]
    assert [name for name, _ in _network(TINY_REPVGG).stages[0].named_children()] == ["0", "1"]


def test_rows_of_other_families_between_them() -> None:
    spec = TINY_REPVGG.model_copy(
        update={"stages": (*TINY_REPVGG.stages, (UIBSpec(out_chs=24, stride=2), RepViTSpec()))}
    )
    model = randomise(_network(spec)).eval()
    x = _images()
    with torch.inference_mode():
        torch.testing.assert_close(model.fuse()(x), model(x), rtol=1e-4, atol=1e-5)


def test_costs_come_block_by_block() -> None:
    paths = [part.path for part in edgewise.count(_network(TINY_REPVIT)).blocks]
    assert paths == [
        "stem",
        "stages.0.blocks.0",
        "stages.0.blocks.1",
        "stages.1.downsample",
        "stages.1.blocks.0",
        "head",
        "(model)",  # the mean over the last map belongs to no module
    ]


@pytest.mark.parametrize("name", ["repvgg_a0", "mobileone_s0", "repvit_m0_9"])
@pytest.mark.parametrize("coarse", [False, True])
def test_groups_for_layer_wise_learning_rates_are_timms(name: str, coarse: bool) -> None:
    with torch.device("meta"):
        ours, theirs = edgewise.create_model(name), timm_model(name)
    groups = [group_parameters(model, model.group_matcher(coarse=coarse)) for model in (ours, theirs)]
    assert {key: set(names) for key, names in groups[0].items()} == {
        key: set(names) for key, names in groups[1].items()
    }


def test_g4_groups_every_other_layer() -> None:
    """Layers 2, 4, … 26 of B's 28, the first one being 0; never the last stage's."""
    spec = repvgg.SPECS["repvgg_b1g4"]
    layers = [spec.stem, *(row for stage in spec.stages for row in stage)]
    assert [number for number, row in enumerate(layers) if row.groups == 4] == list(range(2, 27, 2))
