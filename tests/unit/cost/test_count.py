"""Counting on small graphs whose cost is known by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import edgewise
from edgewise.cost.fusion import FUSIONS
from edgewise.errors import ConfigError, InputError, UnknownNameError
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
    assert [op.op for op in report.ops] == ["aten.convolution", "aten.relu", "aten.convolution"]


def test_unknown_operators_are_listed_not_zero() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.fft.fft2(x).abs() + torch.linalg.inv(x)

    report = edgewise.count(Odd(), 8)
    assert not report.complete
    assert report.unknown == ("aten._fft_c2c", "aten.linalg_inv_ex")
    assert {op.kind for op in report.ops} == {"elementwise", "copy"}  # rows are of what has a rule


@pytest.mark.parametrize(("img_size", "batch", "message"), [(0, 1, "img_size is 0"), (8, 0, "batch is 0")])
def test_bad_sizes(img_size: int, batch: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edgewise.count(nn.Conv2d(3, 4, 1), img_size, batch=batch)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dtype": "fp23"}, "unknown dtype 'fp23'; did you mean 'fp32'"),
        ({"fusion": "litter"}, "unknown fusion model 'litter'; did you mean 'litert'"),
    ],
)
def test_names_that_are_not_there(given: dict[str, str], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        edgewise.count(nn.Conv2d(3, 4, 1), 8, **given)


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


MATMULS = {
    "einsum": lambda x: torch.einsum("nchw,nchv->ncwv", x, x),
    "matmul": lambda x: x.transpose(2, 3) @ x,
    "bmm": lambda x: torch.bmm(x[0].transpose(1, 2), x[0]),
    "addbmm": lambda x: torch.baddbmm(x[0], x[0].transpose(1, 2), x[0]),
    "linear": lambda x: nn.functional.linear(x, x[0, 0]) * 3 / 3,
}


@pytest.mark.parametrize("way", MATMULS)
def test_every_way_to_multiply_matrices(way: str) -> None:
    class Multiplies(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return MATMULS[way](x)

    report = edgewise.count(Multiplies(), 8, in_chans=3)
    assert report.macs == 3 * 8 * 8 * 8
    assert report.complete


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_attention_with_grouped_heads_by_hand(device: str) -> None:
    """Six query heads share two key heads; each of the 64 queries meets 64 keys."""

    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.to_q, self.to_kv = nn.Conv2d(3, 24, 1, bias=False), nn.Conv2d(3, 16, 1, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q = self.to_q(x).unflatten(1, (6, 4)).flatten(3).transpose(2, 3)
            k, v = self.to_kv(x).unflatten(1, (4, 4)).flatten(3).transpose(2, 3).chunk(2, dim=1)
            return nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    report = edgewise.count(Grouped().to(device), 8)
    assert report.macs == 64 * 3 * (24 + 16) + 2 * 6 * 64 * 64 * 4
    assert report.complete


def test_rows_by_hand() -> None:
    """A convolution, its norm, an activation, squeeze-and-excitation, a residual addition: elements read and written."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
            self.fc = nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = nn.functional.hardswish(self.bn(self.conv(x)))
            return x + y * nn.functional.hardsigmoid(self.fc(y.mean((2, 3), keepdim=True)))

    report = edgewise.count(Block(), 8, in_chans=4, batch=2)
    image = 2 * 4 * 64
    assert [(k.kind, k.weight_bytes, k.read_bytes, k.written_bytes, k.macs) for k in report.kernels] == [
        ("conv", 4 * (144 + 4), 4 * image, 4 * image, 2 * 64 * 144),
        ("reduce", 0, 4 * image, 4 * 8, 0),
        ("pointwise", 4 * 20, 4 * 8, 4 * 8, 2 * 16),
        ("elementwise", 0, 4 * (image + 8), 4 * image, 0),
        ("elementwise", 0, 4 * 2 * image, 4 * image, 0),
    ]
    assert report.accesses == 144 + 4 + 20 + 4 * 8 + 8 * image
    assert 4 * report.accesses == report.weight_bytes + report.read_bytes + report.written_bytes
    assert [(op.kind, op.params) for op in report.ops] == [
        ("conv", 144),
        ("norm", 8),
        ("activation", 0),
        ("reduce", 0),
        ("pointwise", 20),
        ("activation", 0),
        ("elementwise", 0),
        ("elementwise", 0),
    ]
    assert report.peak_activation_bytes == 4 * (3 * image + 8)  # the image, what is scaled, its gate, and the scaled
    for parts in (report.stages, report.blocks):
        for field in ("weight_bytes", "read_bytes", "written_bytes", "accesses", "macs", "params"):
            assert sum(getattr(part, field) for part in parts) == getattr(report, field)


@pytest.mark.parametrize(
    ("dtype", "weights", "activations"),
    [
        ("fp32", 4 * 108 + 4 * 4, 4),
        ("bf16", 2 * 108 + 2 * 4, 2),
        ("fp16", 2 * 108 + 2 * 4, 2),
        ("int8", 108 + 4 * 4, 1),
        ("int8-weights", 108 + 4 * 4, 4),
    ],
)
@pytest.mark.parametrize("own", [torch.float32, torch.bfloat16])
def test_bytes_by_precision_whatever_the_model_is_in(dtype, weights, activations, own) -> None:
    report = edgewise.count(nn.Conv2d(3, 4, 3, padding=1).to(own), 8, dtype=dtype)
    assert (report.dtype, report.weight_bytes) == (dtype, weights)
    assert (report.read_bytes, report.written_bytes) == (3 * 64 * activations, 4 * 64 * activations)


@pytest.mark.parametrize("name", ["mobilenetv4_conv_small", "mobilenetv3_small_100", "mobilenetv1_025"])
@pytest.mark.parametrize("fusion", [name for name in FUSIONS if name not in ("eager", "executorch-portable")])
def test_a_folded_norm_changes_no_count(name: str, fusion: str) -> None:
    with torch.device("meta"):
        model = edgewise.create_model(name)
    before, after = (edgewise.count(each, 64, fusion=fusion) for each in (model, edgewise.fuse(model)))
    fields = ("macs", "activations", "weight_bytes", "read_bytes", "written_bytes", "accesses", "peak_activation_bytes")
    assert [getattr(after, field) for field in fields] == [getattr(before, field) for field in fields]
    assert len(after.kernels) == len(before.kernels)


def test_a_layer_used_twice_is_read_twice_and_held_once() -> None:
    report = edgewise.count(_square(Awkward()), 8)
    linear = [kernel for kernel in report.kernels if kernel.kind == "linear"]
    assert [kernel.weight_bytes for kernel in linear] == [4 * 72] * 2
    assert [op.params for op in report.ops if op.kind == "linear"] == [72, 0]
