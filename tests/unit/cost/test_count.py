"""Counting on small graphs whose cost is known by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgewise
from edgewise.errors import ConfigError, InputError
from edgewise.records.artifact import Preprocessing


class Awkward(nn.Module):
    """A layer used twice, one never used, attention by SDPA, ``x @ x``."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(8, 8)
        self.unused = nn.Linear(8, 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.shared(self.shared(x.flatten(2)))  # (N, C, 8) twice: 2 x C x 8 x 8
        x = nn.functional.scaled_dot_product_attention(x, x, x)  # C x C x 8, twice
        square = x @ x.transpose(1, 2)  # C x 8 x C
        return square @ square  # C x C x C


def test_awkward_network_by_hand() -> None:
    report = edgewise.count(_square(Awkward()), 8, in_chans=3)
    assert report.macs == 2 * 3 * 64 + 2 * 3 * 3 * 8 + 3 * 8 * 3 + 27
    assert report.params == 72 + 900
    assert report.complete


def _square(net: nn.Module) -> nn.Module:
    """Make (1, C, 8, 8) into (1, C, 8) first."""
    return nn.Sequential(nn.AvgPool2d((8, 1)), net)


def test_grouped_and_strided_convolutions() -> None:
    net = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, groups=2, bias=True), nn.ReLU(), nn.Conv2d(8, 8, 5, 1, 2, groups=8))
    report = edgewise.count(net, 16, in_chans=4, batch=3)
    assert report.macs == 3 * (8 * 64 * 2 * 9 + 8 * 64 * 25)
    assert report.activations == 3 * 2 * 8 * 64
    assert [op.op for op in report.ops] == ["aten.conv2d", "aten.conv2d"]


def test_unknown_operators_are_listed_not_zero() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft2(x).abs() + torch.linalg.inv(x)

    report = edgewise.count(Odd(), 8)
    assert not report.complete
    assert report.unknown == ("aten.fft_fft2", "aten.linalg_inv")


@pytest.mark.parametrize(("img_size", "batch", "message"), [(0, 1, "img_size is 0"), (8, 0, "batch is 0")])
def test_bad_sizes(img_size: int, batch: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edgewise.count(nn.Conv2d(3, 4, 1), img_size, batch=batch)


def test_a_network_that_does_not_fit_the_size() -> None:
    with pytest.raises(InputError, match=r"Sequential cannot be captured at \(1, 3, 8, 8\)"):
        edgewise.count(nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), 8)


def test_folding_changes_no_macs() -> None:
    model = edgewise.create_model("mobilenetv4_hybrid_medium", num_classes=4)
    assert edgewise.count(edgewise.fuse(model), 64).macs == edgewise.count(model, 64).macs


def test_mode_is_restored() -> None:
    model = nn.Conv2d(3, 4, 1).train()
    edgewise.count(model, 8)
    assert model.training


def test_transposed_convolution_by_hand() -> None:
    net = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2)
    # each of the 4 x 8 x 8 inputs meets 3 x 3 weights of the 3 outputs of its group
    assert edgewise.count(net, 8, in_chans=4).macs == 4 * 64 * 3 * 9


def test_a_module_may_state_its_own_size_channels_and_name() -> None:
    net = nn.Conv2d(5, 2, 1)
    net.preprocessing, net.in_chans, net.name = Preprocessing.for_chans(5, 16), 5, "mine"
    report = edgewise.count(net)
    assert (report.model, report.input_shape, report.macs) == ("mine", (1, 5, 16, 16), 5 * 2 * 256)
