"""MobileOne's unit: which branches there are, and what it sums."""

from __future__ import annotations

import pytest
import torch
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.mobileone import MobileOne
from edgewise.blocks.squeeze_excite import SE


@pytest.mark.parametrize(
    ("kernel", "stride", "out_chs", "skip", "scale", "identity"),
    [
        (3, 1, 8, True, True, True),
        (3, 2, 8, True, True, False),
        (1, 1, 8, True, False, True),
        (1, 1, 16, True, False, False),
        (1, 1, 8, False, False, False),
    ],
)
def test_branches(kernel: int, stride: int, out_chs: int, skip: bool, scale: bool, identity: bool) -> None:
    unit = MobileOne(8, out_chs, kernel, stride, num_branches=3, skip=skip)
    assert len(unit.conv_kxk) == 3
    assert (unit.conv_scale is not None, unit.identity is not None) == (scale, identity)


def test_unit_is_the_sum_of_its_branches() -> None:
    unit = randomise(MobileOne(4, 4, 3, depthwise=True, num_branches=2, se=SE(ratio=0.5, divisor=1))).eval()
    x = torch.randn(2, 4, 7, 6)
    summed = unit.conv_kxk[0](x) + unit.conv_kxk[1](x) + unit.conv_scale(x) + unit.identity(x)
    torch.testing.assert_close(unit(x), torch.relu(unit.attn(summed)))
    assert {m.groups for name, m in unit.named_modules() if name.endswith("conv")} == {4}


def test_branches_start_differently() -> None:
    torch.manual_seed(0)
    kernels = [branch.conv.weight for branch in MobileOne(4, 4, num_branches=3).conv_kxk]
    assert not torch.equal(kernels[0], kernels[1])
    assert not torch.equal(kernels[1], kernels[2])


def test_dropping_spares_the_identity_branch() -> None:
    torch.manual_seed(0)
    unit = randomise(MobileOne(4, 4, 1, drop_path=0.999)).train()
    for module in unit.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    x = torch.randn(4, 4, 5, 5)
    assert torch.equal(unit(x), torch.relu(unit.identity(x)))


def test_nothing_is_dropped_in_the_fused_form() -> None:
    unit = randomise(MobileOne(4, 4, 3, depthwise=True, drop_path=0.5)).eval()
    x = torch.randn(8, 4, 5, 5)
    torch.testing.assert_close(unit.fused().train()(x), unit(x))
