"""Folding keeps the answers over the whole argument space of what can be folded, whatever the statistics.

The reference is the unfused module in float64: with variances from 1e-6 to 1e6 side by side, the unfused float32 forward itself
loses digits where branches cancel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.conv import SameConv2d
from edgewise.blocks.fold import fold_norm, fold_norm_before_linear, fold_norm_into_linear
from edgewise.blocks.fuse import fuse
from edgewise.blocks.mobileone import MobileOne
from edgewise.blocks.repvgg import RepVGG
from edgewise.blocks.repvit import RepViT, RepViTDown, RepViTStem
from edgewise.blocks.squeeze_excite import SE

NUM_CHS = 8
EXPONENTS = st.tuples(st.integers(-6, 6), st.integers(-6, 6))
SEEDS = st.integers(0, 10_000)
KERNELS = st.sampled_from([1, 3, 5, 7])
STRIDES = st.sampled_from([1, 2])
DILATIONS = st.integers(1, 3)
WIDTHS = st.sampled_from([NUM_CHS, 2 * NUM_CHS])
ACTS = st.sampled_from(["relu", "gelu", "hard_swish", "prelu"])
SES = st.sampled_from([None, SE(gate="sigmoid"), SE(ratio=0.5, divisor=1)])

_exhaustively = settings(max_examples=150, deadline=None)


def random_module(make: Callable[[], nn.Module], seed: int, exponents: tuple[int, int]) -> nn.Module:
    """Make a module in eval mode; its norms' variances spread over the decades between the two exponents."""
    torch.manual_seed(seed)
    module = randomise(make(), seed).eval()
    low, high = sorted(exponents)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            norm.running_var.copy_(10.0 ** torch.empty_like(norm.running_var).uniform_(low, high))
    return module


def check(unfused: nn.Module, fused: nn.Module, x: torch.Tensor) -> None:
    with torch.inference_mode():
        exact = copy.deepcopy(unfused).double()(x.double())
        got = fused(x)
        assert got.shape == exact.shape
        assert got.dtype == x.dtype
        assert (got - exact).abs().max() <= 1e-5 * exact.abs().max()


def check_fuse(unfused: nn.Module, x: torch.Tensor) -> None:
    fused = fuse(unfused)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in fused.modules())
    check(unfused, fused, x)
    with torch.inference_mode():
        assert torch.equal(fuse(fused)(x), fused(x))


def images(seed: int) -> torch.Tensor:
    return torch.randn(2, NUM_CHS, 11, 10, generator=torch.Generator().manual_seed(seed))


@_exhaustively
@given(
    out_chs=WIDTHS,
    stride=STRIDES,
    groups=st.sampled_from([1, 2, 4, NUM_CHS]),
    dilation=DILATIONS,
    act=ACTS,
    se=SES,
    skip=st.booleans(),
    exponents=EXPONENTS,
    seed=SEEDS,
)
def test_repvgg(out_chs, stride, groups, dilation, act, se, skip, exponents, seed) -> None:
    def make() -> nn.Module:
        return RepVGG(NUM_CHS, out_chs, stride, groups, act, se, skip, dilation=dilation)

    check_fuse(random_module(make, seed, exponents), images(seed))


@_exhaustively
@given(
    out_chs=WIDTHS,
    kernel=KERNELS,
    stride=STRIDES,
    depthwise=st.booleans(),
    num_branches=st.integers(1, 5),
    dilation=DILATIONS,
    act=ACTS,
    se=SES,
    skip=st.booleans(),
    exponents=EXPONENTS,
    seed=SEEDS,
)
def test_mobileone(out_chs, kernel, stride, depthwise, num_branches, dilation, act, se, skip, exponents, seed) -> None:
    def make() -> nn.Module:
        return MobileOne(NUM_CHS, out_chs, kernel, stride, depthwise, num_branches, act, se, skip, dilation=dilation)

    check_fuse(random_module(make, seed, exponents), images(seed))


@_exhaustively
@given(
    kernel=KERNELS,
    legacy=st.booleans(),
    expand_ratio=st.sampled_from([1.0, 2.0]),
    dilation=DILATIONS,
    act=ACTS,
    se=SES,
    exponents=EXPONENTS,
    seed=SEEDS,
)
def test_repvit(kernel, legacy, expand_ratio, dilation, act, se, exponents, seed) -> None:
    def make() -> nn.Module:
        return RepViT(NUM_CHS, kernel, expand_ratio, legacy, act, se, dilation=dilation)

    check_fuse(random_module(make, seed, exponents), images(seed))


@settings(max_examples=40, deadline=None)
@given(
    out_chs=WIDTHS,
    stride=STRIDES,
    kernel=KERNELS,
    legacy=st.booleans(),
    act=ACTS,
    stem_stride=st.sampled_from([1, 2, 4]),
    exponents=EXPONENTS,
    seed=SEEDS,
)
def test_repvit_ends(out_chs, stride, kernel, legacy, act, stem_stride, exponents, seed) -> None:
    def make() -> nn.Module:
        stem = RepViTStem(NUM_CHS, NUM_CHS, stem_stride, act)
        return nn.Sequential(stem, RepViTDown(NUM_CHS, out_chs, stride, kernel, 2.0, legacy, act))

    check_fuse(random_module(make, seed, exponents), images(seed))


@_exhaustively
@given(
    kind=st.sampled_from([nn.Conv2d, SameConv2d]),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 3),
    dilation=DILATIONS,
    groups=st.sampled_from([1, 2, 4, NUM_CHS]),
    bias=st.booleans(),
    affine=st.booleans(),
    exponents=EXPONENTS,
    seed=SEEDS,
)
def test_fold_norm(kind, kernel, stride, dilation, groups, bias, affine, exponents, seed) -> None:
    def make() -> nn.Module:
        padding = 0 if kind is SameConv2d else dilation * (kernel // 2)
        conv = kind(NUM_CHS, 16, kernel, stride, padding, dilation, groups, bias=bias)
        return nn.Sequential(conv, nn.BatchNorm2d(16, affine=affine))

    pair = random_module(make, seed, exponents)
    folded = fold_norm(pair[0], pair[1])
    assert type(folded) is kind
    check(pair, folded, images(seed))


@settings(max_examples=60, deadline=None)
@given(bias=st.booleans(), affine=st.booleans(), before=st.booleans(), exponents=EXPONENTS, seed=SEEDS)
def test_fold_norm_beside_linear(bias, affine, before, exponents, seed) -> None:
    def make() -> nn.Module:
        linear, norm = nn.Linear(7, 7, bias=bias), nn.BatchNorm1d(7, affine=affine)
        return nn.Sequential(norm, linear) if before else nn.Sequential(linear, norm)

    pair = random_module(make, seed, exponents)
    folded = fold_norm_before_linear(pair[0], pair[1]) if before else fold_norm_into_linear(pair[0], pair[1])
    check(pair, folded, torch.randn(5, 7, generator=torch.Generator().manual_seed(seed)))
