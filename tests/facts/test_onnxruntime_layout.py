"""The layouts that ONNX Runtime gives to maps, against the graphs that it really runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import edgewise
from edgewise.blocks.fuse import fuse
from edgewise.cost.micro_networks import micro_network
from edgewise.deploy.convert import convert
from edgewise.deploy.runtimes.onnxruntime import NCHWC, channel_block
from edgewise.graph.capture import capture

CONVS = ("conv", "pointwise", "depthwise", "grouped")


class Branches(nn.Module):
    """What stands between convolutions, as a function of what one makes of the image, and of a call of another."""

    def __init__(
        self, between: Callable[[torch.Tensor, Callable[[], torch.Tensor]], torch.Tensor], chs: Sequence[int]
    ) -> None:
        super().__init__()
        first, second, last, out_chs = chs
        self.first, self.second = nn.Conv2d(3, first, 3, padding=1), nn.Conv2d(3, second, 3, padding=1)
        self.last = nn.Conv2d(last, out_chs, 1)
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.last(self.between(self.first(x), lambda: self.second(x)))
        return last


BETWEEN = {
    "gelu": (lambda x, y: nn.functional.gelu(x), (24, 8, 24, 20)),
    "silu": (lambda x, y: nn.functional.silu(x), (32, 8, 32, 32)),
    "relu of what is read twice": (lambda x, y: x.relu() + x.sigmoid(), (16, 16, 16, 16)),
    "add, unfilled blocks": (lambda x, y: x.relu() + y().relu(), (20, 20, 20, 20)),
    "mul": (lambda x, y: x * y(), (32, 32, 32, 32)),
    "scale by channel": (lambda x, y: x * y().mean((2, 3), keepdim=True), (32, 32, 32, 32)),
    "cat": (lambda x, y: torch.cat([x, y()], 1), (16, 32, 48, 16)),
    "cat, unfilled blocks": (lambda x, y: torch.cat([x, y()], 1), (16, 24, 40, 16)),
    "max pool": (lambda x, y: nn.functional.max_pool2d(x, 3, 2, 1), (16, 8, 16, 16)),
    "average pool, unfilled blocks": (lambda x, y: nn.functional.avg_pool2d(x, 2), (24, 8, 24, 16)),
    "channels last": (lambda x, y: torch.softmax(x.permute(0, 2, 3, 1), -1).permute(0, 3, 1, 2), (16, 8, 16, 16)),
    "zeros around it": (lambda x, y: nn.functional.pad(x, (0, 1, 0, 1)), (16, 8, 16, 16)),
    "ones around it": (lambda x, y: nn.functional.pad(x, (0, 1, 0, 1), value=1.0), (16, 8, 16, 16)),
    "few channels": (lambda x, y: x, (8, 8, 8, 32)),
    "odd channels": (lambda x, y: x, (45, 8, 45, 45)),
    "shortcut that is plain": (lambda x, y: torch.softmax(x, 1) + y(), (32, 32, 32, 32)),
}  # fmt: skip


def _run_graph(model: nn.Module, img_size: int, folder: Path) -> Counter[str]:
    path, optimised = folder / "model.onnx", folder / "optimised.onnx"
    convert(capture(model, torch.zeros(1, 3, img_size, img_size)), path, format="onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(optimised)
    options.log_severity_level = 3  # it warns that such a file is for this machine alone
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(optimised).graph.node
    found = Counter(node.op_type for node in nodes if node.op_type.startswith("Reorder"))
    found["Pad"] = sum(node.op_type == "Pad" for node in nodes)
    found["in blocks"] = sum(node.op_type == "Conv" and node.domain == NCHWC for node in nodes)
    found["plain"] = sum(node.op_type in ("Conv", "FusedConv") and node.domain != NCHWC for node in nodes)
    return +found


def _counted(model: nn.Module, img_size: int) -> Counter[str]:
    kernels = edgewise.count(model, img_size, fusion=f"onnxruntime-nchw{channel_block()}c").kernels
    found = Counter[str]()
    for kernel in kernels:
        # a norm by itself runs as a depthwise convolution where the map is in blocks
        if kernel.kind in CONVS or (kernel.kind == "norm" and kernel.block):
            found["in blocks" if kernel.block else "plain"] += 1
        elif kernel.kind == "move":
            found["Pad"] += any("pad" in op for op in kernel.ops)
        elif kernel.kind == "reorder":
            found["ReorderInput" if kernel.block else "ReorderOutput"] += 1
    return +found


@pytest.mark.parametrize("name", BETWEEN)
def test_what_stands_between_convolutions(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Branches(*BETWEEN[name]).eval()
    assert _counted(model, 16) == _run_graph(model, 16, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv3_small_050",
        "mobilenetv4_hybrid_medium",
        "repvit_m0_9",
        "mobileone_s0",
        "timm:regnetx_002",
        "tf_mobilenetv3_small_minimal_100",
    ],
)
def test_models(name: str, tmp_path: Path) -> None:
    model = fuse(edgewise.create_model(name).eval())
    assert _counted(model, 64) == _run_graph(model, 64, tmp_path)


@pytest.mark.parametrize("seed", [0, 9, 15, 25, 48])
def test_micro_networks(seed: int, tmp_path: Path) -> None:
    network = micro_network(seed)
    model = fuse(network.model)
    assert _counted(model, network.img_size) == _run_graph(model, network.img_size, tmp_path)
