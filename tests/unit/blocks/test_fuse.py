"""Folding keeps the function, leaves no norm behind a convolution, and is idempotent."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import randomise
from torch import nn

import edgewise
from edgewise.blocks.attention import MQA
from edgewise.blocks.fold import fold_norm
from edgewise.blocks.fuse import fuse
from edgewise.blocks.uib import UIB


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 6]),
    bias=st.booleans(),
    affine=st.booleans(),
    var_exponent=st.integers(-6, 6),
    seed=st.integers(0, 1000),
)
def test_fold_norm_over_the_argument_space(
    kernel: int, stride: int, dilation: int, groups: int, bias: bool, affine: bool, var_exponent: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    conv = nn.Conv2d(6, 12, kernel, stride, kernel // 2, dilation, groups, bias=bias)
    norm = nn.BatchNorm2d(12, affine=affine)
    with torch.no_grad():
        norm.running_mean.copy_(torch.randn(12, generator=generator))
        norm.running_var.copy_((torch.rand(12, generator=generator) + 0.1) * 10.0**var_exponent)
    pair = nn.Sequential(conv, norm).eval()
    x = torch.randn(2, 6, 17, 15, generator=generator)
    with torch.inference_mode():
        wanted, got = pair(x), fold_norm(conv, norm)(x)
    assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max() + 1e-6


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


def test_sequences_of_users_fold_too() -> None:
    net = randomise(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    )
    fused = fuse(net.eval())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused)
    x = torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(fused(x), net(x), rtol=1e-5, atol=1e-5)
