"""RepViT's mixers, block, downsampling block and stem."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.repvit import ChannelMixer, RepViT, RepViTDown, RepViTStem, TokenMixer
from edgewise.blocks.squeeze_excite import SE


def test_token_mixer_is_a_norm_of_the_sum() -> None:
    mixer = randomise(TokenMixer(4, 5)).eval()
    x = torch.randn(2, 4, 7, 6)
    torch.testing.assert_close(mixer(x), mixer.bn(mixer.conv.bn(mixer.conv.c(x)) + mixer.conv1(x) + x))
    assert mixer.conv1.bias is not None


def test_legacy_token_mixer_has_its_norms_on_the_branches() -> None:
    mixer = randomise(TokenMixer(4, legacy=True)).eval()
    x = torch.randn(2, 4, 7, 6)
    torch.testing.assert_close(mixer(x), mixer.conv(x) + mixer.conv1.bn(mixer.conv1.c(x)) + x)
    assert mixer.bn is None


@pytest.mark.parametrize("legacy", [False, True])
def test_token_mixer_becomes_one_depthwise_convolution(legacy: bool) -> None:
    mixer = randomise(TokenMixer(4, 3, legacy)).eval()
    fused = mixer.fused()
    x = torch.randn(2, 4, 7, 6)
    assert type(fused) is nn.Conv2d
    assert (fused.groups, fused.kernel_size) == (4, (3, 3))
    torch.testing.assert_close(fused(x), mixer(x), rtol=1e-5, atol=1e-5)


def test_a_fresh_channel_mixer_is_an_identity() -> None:
    mixer = ChannelMixer(4)
    mixer.init_weights()
    x = torch.randn(2, 4, 3, 3)
    assert torch.equal(mixer.eval()(x), x)
    assert not torch.equal(randomise(mixer)(x), x)


def test_residual_starts_behind_squeeze_and_excitation() -> None:
    block = randomise(RepViT(8, se=SE(gate="sigmoid"))).eval()
    nn.init.zeros_(block.channel_mixer.conv2.bn.weight)
    nn.init.zeros_(block.channel_mixer.conv2.bn.bias)
    x = torch.randn(2, 8, 6, 6)
    torch.testing.assert_close(block(x), block.se(block.token_mixer(x)))


def test_downsampling_block() -> None:
    block = randomise(RepViTDown(8, 16)).eval()
    x = torch.randn(2, 8, 7, 6)
    down = block.channel_downsample(block.spatial_downsample(block.pre_block(x)))
    torch.testing.assert_close(block(x), block.ffn(down))
    assert block(x).shape == (2, 16, 4, 3)
    assert block.pre_block.se is None
    assert block.spatial_downsample.c.groups == 8


@pytest.mark.parametrize(
    "make", [lambda rate: RepViT(8, drop_path=rate), lambda rate: RepViTDown(8, 8, 1, drop_path=rate)]
)
def test_stochastic_depth_drops_channel_mixers(make) -> None:
    torch.manual_seed(0)
    block = randomise(make(0.999)).train()
    mixers = [module for module in block.modules() if isinstance(module, ChannelMixer)]
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    x = torch.randn(3, 8, 5, 5)
    out = block(x)
    for mixer in mixers:
        nn.init.zeros_(mixer.conv2.bn.weight)
        nn.init.zeros_(mixer.conv2.bn.bias)
    torch.testing.assert_close(out, block.eval()(x))


@pytest.mark.parametrize(("stride", "strides"), [(4, (2, 2)), (2, (2, 1)), (1, (1, 1))])
def test_stem_strides(stride: int, strides: tuple[int, int]) -> None:
    stem = RepViTStem(3, 8, stride)
    assert (stem.conv1.c.stride[0], stem.conv2.c.stride[0]) == strides
    assert stem(torch.zeros(2, 3, 8, 8)).shape == (2, 8, 8 // stride, 8 // stride)


def test_stem_has_one_activation() -> None:
    stem = randomise(RepViTStem(3, 8, act="relu")).eval()
    x = torch.randn(2, 3, 8, 8)
    assert bool((stem(x) < 0).any())
    torch.testing.assert_close(stem(x), stem.conv2(torch.relu(stem.conv1(x))))
