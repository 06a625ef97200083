"""What the fusion models join, and what they leave apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgewise.cost.fusion import FUSIONS, find_fusion
from edgewise.cost.kernels import fused_graph
from edgewise.cost.memory import _lay_out, _Life, activation_memory
from edgewise.cost.precision import find_precision
from edgewise.graph.trace import trace

FP32 = find_precision("fp32")


def _kernels(net: nn.Module, fusion: str, shape: tuple[int, ...] = (1, 4, 8, 8)) -> list[str]:
    """Return the operators of each kernel, as in ``convolution+relu``, or the kind of one that the runtime adds."""
    run = trace(net, shape)
    graph = fused_graph(run, find_fusion(fusion))
    return [
        "+".join(run.calls[place].op.removeprefix("aten.").removesuffix("_") for place in kernel.calls) or kernel.kind
        for kernel in graph.kernels
    ]


def _peak(net: nn.Module, fusion: str, shape: tuple[int, ...] = (1, 4, 8, 8)) -> int:
    """Return the peak in elements."""
    rules = find_fusion(fusion)
    return activation_memory(fused_graph(trace(net, shape), rules), rules, FP32).peak_bytes // 4


class Residual(nn.Module):
    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)) + x)


CONV = "convolution+native_batch_norm"


@pytest.mark.parametrize(
    ("fusion", "act", "kernels"),
    [
        ("eager", nn.ReLU(), ["convolution", "native_batch_norm", "add", "relu"]),
        ("generic", nn.ReLU(), [CONV, "add+relu"]),
        ("generic", nn.Hardswish(), [CONV, "add+hardswish"]),
        ("onnxruntime", nn.ReLU(), [f"{CONV}+add+relu"]),
        ("onnxruntime", nn.Hardswish(), [f"{CONV}+add+hardswish"]),
        ("onnxruntime", nn.GELU(), [f"{CONV}+add", "gelu"]),
        ("openvino", nn.Hardswish(), [f"{CONV}+add+hardswish"]),
        ("litert", nn.ReLU6(), ["turn", CONV, "add+hardtanh"]),
        ("litert", nn.Hardswish(), ["turn", CONV, "add", "hardswish"]),
        ("executorch-portable", nn.ReLU(), [CONV, "add", "relu"]),
    ],
)
def test_a_residual_block(fusion: str, act: nn.Module, kernels: list[str]) -> None:
    assert _kernels(Residual(act), fusion) == kernels


def test_nothing_joins_a_tensor_that_somebody_else_reads() -> None:
    class Forks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = self.conv(x)
            return y.relu(), y.sigmoid()

    assert _kernels(Forks(), "generic") == ["convolution", "relu", "sigmoid"]

    class Returns(Forks):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            y = self.conv(x)
            return y, y.relu()

    assert _kernels(Returns(), "generic") == ["convolution", "relu"]


def test_a_norm_behind_an_activation_stands_alone() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    assert _kernels(net, "generic") == ["convolution+relu", "native_batch_norm"]


def test_constants_per_channel_go_into_the_weights_and_others_do_not() -> None:
    class Scales(nn.Module):
        def __init__(self, *shape: int) -> None:
            super().__init__()
            self.conv, self.gamma = nn.Conv2d(4, 4, 1), nn.Parameter(torch.ones(shape))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) * self.gamma

    assert _kernels(Scales(4, 1, 1), "generic") == ["convolution+mul"]
    assert _kernels(Scales(4, 8, 8), "generic") == ["convolution", "mul"]


def test_transposes_and_slices_copy_but_reshapes_do_not() -> None:
    class Shuffles(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.view(1, 2, 2, 8, 8).transpose(1, 2).reshape(1, 4, 8, 8)
            first, second = y.chunk(2, dim=1)
            return torch.cat([second, first], dim=1).flatten(1)

    assert _kernels(Shuffles(), "generic") == ["transpose", "split", "cat"]
    assert _kernels(Shuffles(), "eager") == ["clone", "cat"]


def test_what_only_turns_sides_of_length_one_is_nothing() -> None:
    class Turns(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3), keepdim=True).permute(0, 2, 3, 1).contiguous().relu()

    assert _kernels(Turns(), "generic") == ["mean+relu"]


def test_a_tensor_that_is_filled_part_by_part() -> None:
    class Fills(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = torch.empty_like(x)
            out[:, :2] = x[:, 2:] * 2
            out[:, 2:] = x[:, :2] * 3
            return out.relu()

    # image and result, and a half of it on the way: alive from the first part to the last
    assert _peak(Fills(), "eager") == 256 + 256 + 128


def test_peak_of_a_chain_is_its_widest_pair() -> None:
    net = nn.Sequential(nn.Conv2d(4, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1))
    assert _peak(net, "generic") == 64 * (16 + 8)
    assert _peak(net, "executorch-portable") == 64 * (16 + 16)
    # the image stays, though nobody reads it any more
    assert _peak(net, "litert") == 64 * (4 + 16 + 8)


def test_peak_holds_what_a_residual_waits_for() -> None:
    assert _peak(Residual(nn.ReLU()), "generic") == 3 * 256
    assert _peak(Residual(nn.ReLU()), "onnxruntime") == 2 * 256


def test_litert_pads_where_tensorflow_would_pad_otherwise() -> None:
    """A stride of 2 over an even side pads one side only in TensorFlow's SAME; over an odd one, both."""
    net = nn.Sequential(nn.Conv2d(4, 4, 3, stride=2, padding=1))
    assert _kernels(net, "litert") == ["turn", "move", "convolution"]
    assert _kernels(net, "litert", (1, 4, 7, 7)) == ["turn", "convolution"]
    assert _kernels(nn.Conv2d(4, 4, 3), "litert") == ["turn", "convolution"]
    # image, its padded copy, all windows of 3 x 3 x 4, the answer; the turned copy is gone
    assert _peak(net, "litert") == 256 + 4 * 100 + 16 * 36 + 4 * 16


def test_scratch_of_decomposed_functions_counts() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Hardswish())
    assert _peak(net, "generic") == 2 * 256
    assert _peak(net, "executorch-portable") == 3 * 256


@pytest.mark.parametrize("name", FUSIONS)
def test_every_operator_stands_in_one_kernel(name: str) -> None:
    run = trace(Residual(nn.Hardswish()), (1, 4, 8, 8))
    graph = fused_graph(run, find_fusion(name))
    places = sorted(place for kernel in graph.kernels for place in kernel.calls)
    assert places == [place for place, call in enumerate(run.calls) if call.op != "aten.empty"]


def test_an_arena_by_hand() -> None:
    """The largest lies at 0; what is alive beside it goes on top, or below where a gap is wide enough."""
    large, small, tiny, late = _Life(0, 1, 10), _Life(1, 2, 6), _Life(2, 3, 4), _Life(3, 3, 5)
    assert _lay_out([tiny, small, large, late], 4) == 16
    assert [each.offset for each in (large, small, tiny, late)] == [0, 10, 5, 0]
    assert _lay_out([_Life(0, 0, 3)], 1) == 3


def test_an_arena_may_need_more_than_the_fullest_moment() -> None:
    lives = [_Life(0, 1, 4), _Life(1, 2, 5), _Life(2, 3, 4), _Life(3, 3, 5), _Life(0, 0, 5)]
    peak = max(sum(each.size for each in lives if each.first <= moment <= each.last) for moment in range(4))
    assert peak == 9
    assert _lay_out(lives, 4) >= peak
    for one in lives:
        for other in lives:
            if one is not other and one.first <= other.last and other.first <= one.last:
                assert one.offset + one.size <= other.offset or other.offset + other.size <= one.offset
