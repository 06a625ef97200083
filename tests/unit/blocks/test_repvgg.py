"""RepVGG's unit: its branches, what it sums, and how it comes down to one convolution."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.reparam import ReparamUnit
from edgewise.blocks.repvgg import RepVGG
from edgewise.blocks.squeeze_excite import SE


@pytest.mark.parametrize(
    ("in_chs", "stride", "skip", "there"),
    [(8, 1, True, True), (8, 1, False, False), (8, 2, True, False), (4, 1, True, False)],
)
def test_identity_branch_only_where_shapes_and_row_allow(in_chs: int, stride: int, skip: bool, there: bool) -> None:
    assert (RepVGG(in_chs, 8, stride, skip=skip).identity is not None) == there


def test_unit_is_the_sum_of_its_branches() -> None:
    unit = randomise(RepVGG(4, 4, groups=2)).eval()
    x = torch.randn(2, 4, 7, 6)
    summed = unit.conv_kxk.bn(unit.conv_kxk.conv(x)) + unit.conv_1x1.bn(unit.conv_1x1.conv(x)) + unit.identity(x)
    torch.testing.assert_close(unit(x), torch.relu(summed))
    assert unit.conv_kxk.conv.groups == unit.conv_1x1.conv.groups == 2


def test_squeeze_and_excitation_acts_before_the_activation() -> None:
    unit = randomise(RepVGG(4, 4, se=SE(ratio=0.5, divisor=1), act="gelu")).eval()
    x = torch.randn(2, 4, 7, 6)
    summed = unit.conv_kxk(x) + unit.conv_1x1(x) + unit.identity(x)
    torch.testing.assert_close(unit(x), nn.functional.gelu(unit.attn(summed)))


def test_fused_by_hand() -> None:
    """1x1 convolution of one channel: 3x3 all ones, 1x1 two, norms that only scale; the kernel is ones, and 1 + 2·3 + 5 amid."""
    unit = RepVGG(1, 1).eval()
    for tensor, value in (
        (unit.conv_kxk.conv.weight, 1.0),
        (unit.conv_1x1.conv.weight, 2.0),
        (unit.conv_1x1.bn.weight, 3.0),
        (unit.identity.weight, 5.0),
        (unit.identity.bias, 0.25),
    ):
        nn.init.constant_(tensor, value)
    for norm in (unit.conv_kxk.bn, unit.conv_1x1.bn, unit.identity):
        norm.eps = 0.0
    fused = unit.fused()
    assert isinstance(fused, ReparamUnit)
    assert fused.reparam_conv.weight.flatten().tolist() == [1, 1, 1, 1, 1 + 2 * 3 + 5, 1, 1, 1, 1]
    assert fused.reparam_conv.bias.tolist() == [0.25]


def test_dropping_spares_the_identity_branch() -> None:
    torch.manual_seed(0)
    unit = randomise(RepVGG(4, 4, drop_path=0.5)).train()
    for norm in (unit.conv_kxk.bn, unit.conv_1x1.bn, unit.identity):
        norm.eval()
    x = torch.randn(64, 4, 5, 5)
    kept = torch.relu(unit.identity(x))
    full = torch.relu(unit.identity(x) + 2 * (unit.conv_kxk(x) + unit.conv_1x1(x)))
    out = unit(x)
    dropped = [bool(torch.equal(out[i], kept[i])) for i in range(64)]
    assert 16 < sum(dropped) < 48
    torch.testing.assert_close(out[~torch.tensor(dropped)], full[~torch.tensor(dropped)])


def test_nothing_is_dropped_in_the_fused_form() -> None:
    unit = randomise(RepVGG(4, 4, drop_path=0.5)).eval()
    x = torch.randn(8, 4, 5, 5)
    torch.testing.assert_close(unit.fused().train()(x), unit(x))


def test_original_is_left_as_it_is() -> None:
    unit = randomise(RepVGG(4, 4, act="prelu", se=SE()))
    fused = unit.fused()
    before = {key: value.clone() for key, value in unit.state_dict().items()}
    for parameter in fused.parameters():
        nn.init.zeros_(parameter)
    assert all(torch.equal(before[key], value) for key, value in unit.state_dict().items())
    assert unit.training
