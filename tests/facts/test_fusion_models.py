"""The fusion models against the graphs that the runtimes really run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import edgewise
from edgewise.deploy.convert import convert
from edgewise.graph.capture import capture

LAYOUT = {"ReorderInput", "ReorderOutput", "Reorder", "Reshape", "Input", "Output", "Const"}
CONVS = ("conv", "pointwise", "depthwise")


ACTIVATIONS = ("ReLU", "ReLU6", "ELU", "GELU", "Hardsigmoid", "Hardswish", "LeakyReLU", "Sigmoid", "SiLU", "Tanh")


class Net(nn.Module):
    """A convolution before each activation function, squeeze-and-excitation, and a residual addition."""

    def __init__(self) -> None:
        super().__init__()
        pairs = [(nn.Conv2d(16, 16, 3, padding=1), getattr(nn, name)()) for name in ACTIVATIONS]
        self.pairs = nn.Sequential(nn.Conv2d(3, 16, 1), *(each for pair in pairs for each in pair))
        self.squeeze, self.depthwise = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.project, self.last = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pairs(x)
        x = self.project(self.depthwise(x).relu()) + x
        return self.last(x * self.squeeze(x.mean((2, 3), keepdim=True)).sigmoid())


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[nn.Module, Path]:
    model = Net().eval()
    path = tmp_path_factory.mktemp("fused") / "model.onnx"
    convert(capture(model, torch.zeros(1, 3, 64, 64)), path, format="onnx")
    return model, path


def _counted(model: nn.Module, fusion: str) -> Counter[str]:
    kinds = Counter(kernel.kind for kernel in edgewise.count(model, 64, fusion=fusion).kernels)
    return Counter({"conv": sum(kinds.pop(kind, 0) for kind in CONVS)}) + kinds


def test_onnxruntime_runs_as_many_kernels(exported, tmp_path) -> None:
    model, path = exported
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3  # it warns that such a file is for this machine alone
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    run = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    counted = _counted(model, "onnxruntime")
    assert sum(number for op, number in run.items() if op not in LAYOUT) == counted.total()
    assert (run["Conv"], run["ReduceMean"], run["Mul"]) == (counted["conv"], counted["reduce"], counted["elementwise"])


def test_openvino_runs_as_many_kernels(exported) -> None:
    openvino = pytest.importorskip("openvino", reason="needs the extra openvino")
    model, path = exported
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    run = Counter(str(op.get_rt_info()["layerType"].value) for op in compiled.get_runtime_model().get_ops())
    counted = _counted(model, "openvino")
    assert sum(number for op, number in run.items() if op not in LAYOUT) == counted.total()
    assert (run["Convolution"], run["Reduce"], run["Math"]) == (
        counted["conv"],
        counted["reduce"],
        counted["activation"],
    )
