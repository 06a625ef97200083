"""Folding keeps the function, leaves no norm behind a convolution, and is idempotent."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise
from torch import nn

import edgewise
from edgewise.blocks.attention import MQA, AttentionBlock
from edgewise.blocks.conv import SameConv2d
from edgewise.blocks.fuse import fuse, reparameterize_model
from edgewise.blocks.mobileone import MobileOne
from edgewise.blocks.repvgg import RepVGG
from edgewise.blocks.squeeze_excite import SE
from edgewise.blocks.uib import UIB
from edgewise.errors import ConfigError
from edgewise.models.build import build
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.families import mobilenetv4


@pytest.mark.parametrize(("start", "mid"), [(3, 5), (None, 3), (5, None), (None, None)])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_uib_in_its_four_forms(start: int | None, mid: int | None, scale: float | None) -> None:
    block = randomise(UIB(8, 8, 1, 3.0, start, mid, layer_scale_init=scale)).eval()
    _same_after_fusing(block, torch.randn(2, 8, 9, 9))


@pytest.mark.parametrize("kv_stride", [1, 2])
def test_attention(kv_stride: int) -> None:
    block = randomise(MQA(8, 2, 4, 6, kv_stride, layer_scale_init=0.3)).eval()
    _same_after_fusing(block, torch.randn(2, 8, 8, 8))


def _same_after_fusing(block: nn.Module, x: torch.Tensor) -> None:
    fused = fuse(block)
    with torch.inference_mode():
        wanted = block(x)
        assert (fused(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        assert torch.equal(fuse(fused)(x), fused(x))
    assert not any("layer_scale.gamma" in name for name, _ in fused.named_parameters())


def test_no_norm_is_left_behind_a_convolution_and_the_model_is_untouched() -> None:
    model = randomise(edgewise.create_model("mobilenetv4_hybrid_medium", num_classes=3)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fused = model.fuse()
    left = [name for name, m in fused.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(name.endswith(".norm") and name.count(".") == 3 for name in left)  # only before attention
    assert not fused.training
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", CATALOGUE)
def test_norms_that_are_left_stand_before_attention(name: str) -> None:
    with torch.device("meta"):
        model = edgewise.create_model(name)
    fused = fuse(model)
    norms = nn.modules.batchnorm._BatchNorm
    left = [path for path, module in fused.named_modules() if isinstance(module, norms)]
    before_attention = [path + ".norm" for path, module in fused.named_modules() if isinstance(module, AttentionBlock)]
    assert left == before_attention
    assert sum(isinstance(module, norms) for module in model.modules()) > len(left)


def test_sequences_of_users_fold_too() -> None:
    net = randomise(
        nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 1),
            nn.BatchNorm2d(4),
            nn.Flatten(),
            nn.BatchNorm1d(144),
            nn.Linear(144, 6),
            nn.BatchNorm1d(6),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.BatchNorm1d(6),
            nn.Linear(6, 2, bias=False),
        )
    )
    fused = fuse(net.eval())
    # the second of two norms in a row stands behind an identity then
    assert [i for i, m in enumerate(fused) if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)] == [9]
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(fused(x), net(x), rtol=1e-5, atol=1e-5)


class NormFirst(nn.Module):
    """Pre-activation: the names of a foldable pair, in the other order."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(4)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(torch.relu(self.bn(x)))


class Backwards(nn.Sequential):
    """A sequence that runs the other way round."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for module in reversed(self):
            x = module(x)
        return x


@pytest.mark.parametrize(
    "net",
    [
        NormFirst(),
        Backwards(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.InstanceNorm2d(4, affine=True)),
    ],
    ids=["norm first", "own order", "no statistics", "another norm"],
)
def test_what_is_no_norm_behind_a_convolution_stays(net: nn.Module) -> None:
    net = randomise(net).eval()
    fused = fuse(net)
    x = torch.randn(2, 4, 8, 8)
    assert fused.state_dict().keys() == net.state_dict().keys()
    assert torch.equal(fused(x), net(x))


def test_a_unit_that_is_used_twice_stays_one() -> None:
    unit = randomise(RepVGG(4, 4))
    net = nn.Sequential(unit, nn.Sequential(unit)).eval()
    fused = fuse(net)
    assert fused[0] is fused[1][0]
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(fused(x), net(x), rtol=1e-5, atol=1e-5)


def test_tf_padding_keeps_its_class() -> None:
    net = randomise(nn.Sequential(SameConv2d(4, 6, 3, 2, groups=2, bias=False), nn.BatchNorm2d(6))).eval()
    fused = fuse(net)
    x = torch.randn(2, 4, 8, 8)
    assert type(fused[0]) is SameConv2d
    torch.testing.assert_close(fused(x), net(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-12), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("make", [lambda: RepVGG(4, 4, se=SE()), lambda: MobileOne(4, 4, 3, num_branches=2)])
def test_dtype_stays(make, dtype: torch.dtype, error: float) -> None:
    block = randomise(make()).eval().to(dtype)
    fused = fuse(block)
    assert {tensor.dtype for tensor in fused.state_dict().values()} == {dtype}
    x = torch.randn(2, 4, 8, 8)
    wanted = block.double()(x.double())
    assert (fused(x.to(dtype)) - wanted).abs().max() <= error * wanted.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_arithmetic_is_done_in_float64(dtype: torch.dtype) -> None:
    block = randomise(nn.Sequential(RepVGG(4, 4), MobileOne(4, 4, 3, num_branches=4), UIB(4, 4, layer_scale_init=0.3)))
    low = fuse(block.eval().to(dtype)).state_dict()
    exact = fuse(block.double()).state_dict()
    assert all(torch.equal(low[key], exact[key].to(dtype)) for key in exact)


def test_frozen_stays_frozen() -> None:
    net = nn.Sequential(RepVGG(4, 4), RepVGG(4, 4))
    net[0].requires_grad_(False)
    fused = fuse(net)
    assert [any(p.requires_grad for p in unit.parameters()) for unit in fused] == [False, True]
    assert all(p.is_leaf for p in fused.parameters())


def test_reparameterize_model_in_place() -> None:
    spec = mobilenetv4.CONV_SMALL.model_copy(update={"num_classes": 3})
    model = randomise(build(spec)).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        wanted = model(x)
        apart = edgewise.reparameterize_model(model)
        assert apart is not model
        assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
        assert edgewise.reparameterize_model(model, inplace=True) is model
        assert torch.equal(model(x), apart(x))
        assert (model(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_a_unit_cannot_become_another_class_in_place() -> None:
    with pytest.raises(
        ConfigError, match=r"a fused RepVGG is a ReparamUnit; use what reparameterize_model\(model\) returns"
    ):
        reparameterize_model(RepVGG(4, 4), inplace=True)


class Flagged(nn.Module):
    """A module of somebody else's, with a flag of the name that our method has."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.fused = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


@pytest.mark.parametrize("wrap", [nn.Identity(), None])
def test_a_flag_of_that_name_is_no_method(wrap: nn.Module | None) -> None:
    model = Flagged() if wrap is None else nn.Sequential(wrap, Flagged())
    randomise(model).eval()
    x = torch.randn(2, 3, 8, 8)
    fused = fuse(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    torch.testing.assert_close(fused(x), model(x))
