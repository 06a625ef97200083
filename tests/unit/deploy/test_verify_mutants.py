"""Seeded export bugs: each file made from a wrong model must be caught, the right one must pass."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from export_nets import PREPROCESSING, Images, TinyNet
from torch import nn
from torch.nn import functional as F

from edgewise.blocks.fuse import fuse
from edgewise.deploy import verify as verify_module
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.inputs import edge_inputs
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.verify import verify
from edgewise.errors import InputError
from edgewise.graph.capture import capture
from edgewise.records.artifact import VerificationRecord


class Around(nn.Module):
    """A network with something done to its input and output."""

    def __init__(self, net: nn.Module, forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]):
        super().__init__()
        self.net, self.change = net, forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(self.net, x)


def around(forward):
    return lambda net: Around(net, forward)


def dropped_bias(net: TinyNet) -> nn.Module:
    nn.init.zeros_(net.classifier.bias)
    return net


def transposed_head(net: TinyNet) -> nn.Module:
    net.classifier.weight.data = net.classifier.weight.data.T.contiguous()
    return net


class ShiftedConv(nn.Module):
    """TensorFlow's way of padding a strided convolution: all on the far side."""

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv = conv
        conv.padding = (0, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(F.pad(x, (0, 2, 0, 2)))


def shifted_padding(net: TinyNet) -> nn.Module:
    net.stem.conv = ShiftedConv(net.stem.conv)
    return net


def reflected_padding(net: TinyNet) -> nn.Module:
    conv = net.depthwise.conv
    conv.padding_mode, conv._reversed_padding_repeated_twice = "reflect", [1, 1, 1, 1]
    return net


def batch_statistics(net: TinyNet) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = module.running_var = None
            module.track_running_stats = False
    return net


def other_epsilon(net: TinyNet) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3
    return net


def swish_for_hard_swish(net: TinyNet) -> nn.Module:
    net.stem.act = nn.SiLU()
    return net


def lost_activation(net: TinyNet) -> nn.Module:
    net.down.act = nn.Identity()
    return net


def lost_residual(net: TinyNet) -> nn.Module:
    net.forward = lambda x: net.classifier(
        F.relu(
            net.head(net.down(net.project(net.depthwise(net.expand(net.stem(x))))).mean((2, 3), keepdim=True))
        ).flatten(1)
    )
    return net


def bfloat_weights(net: TinyNet) -> nn.Module:
    for parameter in net.parameters():
        parameter.data = parameter.data.bfloat16().float()
    return net


def stale_statistics(net: TinyNet) -> nn.Module:
    net.stem.bn.reset_running_stats()
    return net


def _clamped_contrast(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Clamp what differs from the picture's mean: ordinary pictures and noise stay within it, and uniform ones of any brightness."""
    mean = x.mean((2, 3), keepdim=True)
    return net(mean + (x - mean).clamp(-9, 9))


def _little_off(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Add to the answers for uniform pictures what would be accepted of pictures far beyond white."""
    white = torch.from_numpy(edge_inputs(PREPROCESSING)["saturated"][:5])
    extremes = x.abs().amax((1, 2, 3))
    is_white = (x.flatten(2).std(2).amax(1) == 0) & (extremes > 1) & (extremes < 8)
    return net(x) + 1.5e-4 * net(white).abs().max() * is_white[:, None]


MEAN = torch.tensor(PREPROCESSING.mean)[:, None, None]
STD = torch.tensor(PREPROCESSING.std)[:, None, None]
MUTANTS = {
    "swapped channels": around(lambda net, x: net(x.flip(1))),
    "normalised twice": around(lambda net, x: net((x - MEAN) / STD)),
    "missing normalisation": around(lambda net, x: net(x * STD + MEAN)),
    "rows and columns swapped": around(lambda net, x: net(x.transpose(2, 3))),
    "mirrored": around(lambda net, x: net(x.flip(3))),
    "softmax in the file": around(lambda net, x: net(x).softmax(1)),
    "first answer for all": around(lambda net, x: net(x[:1]).expand(x.shape[0], -1)),
    "shifted classes": around(lambda net, x: net(x).roll(1, 1)),
    "one class missing": around(lambda net, x: net(x)[:, :9]),
    "NaN on zeros": around(lambda net, x: net(x) * (x.abs().sum() / x.abs().sum())),
    "clamped input": around(lambda net, x: net(x.clamp(-3, 3))),
    "clamp that uniform images pass": around(_clamped_contrast),
    "error that larger logits excuse": around(_little_off),
    "clamped logits": around(lambda net, x: net(x).clamp(max=20)),
    "dropped bias": dropped_bias,
    "transposed head": transposed_head,
    "shifted padding": shifted_padding,
    "reflected padding": reflected_padding,
    "norm in training mode": batch_statistics,
    "other epsilon": other_epsilon,
    "swish for hard-swish": swish_for_hard_swish,
    "lost activation": lost_activation,
    "lost residual": lost_residual,
    "bfloat16 weights": bfloat_weights,
    "stale statistics": stale_statistics,
}


def verified(made: nn.Module, model: nn.Module, folder: Path, real: Images | None = None) -> VerificationRecord:
    path = folder / "file.onnx"
    program = capture(made.eval(), torch.zeros(2, 3, 16, 16), dynamic_batch=True)
    get_exporter("onnx").export(program, path, ExportOptions())
    return verify(path, model, runtime="onnxruntime", preprocessing=PREPROCESSING, real=real)


class ModuleRuntime:
    """A runtime whose file is a module: what an exporter without bugs of its own makes of it."""

    def __init__(self, module: nn.Module):
        self.module = module.eval()

    def load(self, path: Path, options: RuntimeOptions) -> ModuleRuntime:
        return self

    def run(self, arrays: list[Images]) -> list[Images]:
        with torch.no_grad():
            return [self.module(torch.from_numpy(arrays[0])).numpy()]

    def close(self) -> None:
        self.module = nn.Identity()


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_answers_are_caught(trained, monkeypatch, name):
    mutant = MUTANTS[name](copy.deepcopy(trained.model))
    monkeypatch.setattr(verify_module, "get_runtime", lambda _: ModuleRuntime(mutant))
    record = verify(Path("none"), trained.model, runtime="fake", preprocessing=PREPROCESSING, real=trained.real)
    assert not record.passed
    assert record.reason


def test_right_answers_pass(trained, monkeypatch):
    monkeypatch.setattr(verify_module, "get_runtime", lambda _: ModuleRuntime(copy.deepcopy(trained.model)))
    record = verify(Path("none"), trained.model, runtime="fake", preprocessing=PREPROCESSING, real=trained.real)
    assert record.passed, record.reason


@pytest.mark.parametrize("name", ["missing normalisation", "norm in training mode", "lost activation"])
def test_wrong_onnx_file_is_caught(trained, tmp_path, name):
    mutant = MUTANTS[name](copy.deepcopy(trained.model))
    assert not verified(mutant, trained.model, tmp_path, trained.real).passed


@pytest.mark.parametrize("name", ["swapped channels", "clamped input", "shifted padding", "NaN on zeros"])
def test_wrong_onnx_file_is_caught_without_real_images(trained, tmp_path, name):
    mutant = MUTANTS[name](copy.deepcopy(trained.model))
    assert not verified(mutant, trained.model, tmp_path).passed


def test_a_frozen_batch_is_caught_where_any_was_asked_for(trained, tmp_path):
    path = tmp_path / "file.onnx"
    program = capture(copy.deepcopy(trained.model), torch.zeros(2, 3, 16, 16))
    get_exporter("onnx").export(program, path, ExportOptions())
    record = verify(path, trained.model, runtime="onnxruntime", preprocessing=PREPROCESSING, real=trained.real)
    assert record.reason == "the file takes 2 images a call; it must take any number"
    options = {"runtime": "onnxruntime", "preprocessing": PREPROCESSING, "dynamic_batch": False}
    for batch in (None, 2):
        fixed = verify(path, trained.model, batch=batch, **options)
        assert fixed.passed, fixed.reason
    assert verify(path, trained.model, batch=4, **options).reason == "the file takes 2 images a call; it must take 4"


def untrained(seed: int) -> TinyNet:
    torch.manual_seed(seed)
    net = TinyNet()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.5)
            module.running_var.uniform_(0.2, 3)
    return net


def silent_head(seed: int) -> TinyNet:
    net = untrained(seed)
    nn.init.zeros_(net.classifier.weight)
    nn.init.zeros_(net.classifier.bias)
    return net


@pytest.mark.parametrize("make", [untrained, silent_head])
@pytest.mark.parametrize("seed", range(2))
def test_right_file_passes(trained, tmp_path, make, seed):
    net = make(seed)
    record = verified(fuse(net), net, tmp_path, trained.real)
    assert record.passed, record.reason


def test_nan_of_the_model_fails_too(fp32, trained):
    model = copy.deepcopy(trained.model)
    model.head.weight.data[0] = float("nan")
    record = verify(fp32[1] / "tiny.onnx", model, runtime="onnxruntime", preprocessing=PREPROCESSING)
    assert (record.passed, record.reason) == (False, "zeros: the model answers NaN or infinity")


def test_flipped_bytes_of_a_file_are_caught(fp32, trained, tmp_path):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(fp32[1] / "tiny.onnx")
    tensor = max(model.graph.initializer, key=lambda t: len(t.raw_data))
    weights = np.array(numpy_helper.to_array(tensor))
    weights.reshape(-1)[7] *= -1
    tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    onnx.save(model, tmp_path / "damaged.onnx")
    record = verify(
        tmp_path / "damaged.onnx", trained.model, runtime="onnxruntime", preprocessing=PREPROCESSING, real=trained.real
    )
    assert "logits differ by up to" in record.reason


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_cut_file_is_caught(fp32, trained, tmp_path, keep):
    content = (fp32[1] / "tiny.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[: int(len(content) * keep)])
    record = verify(tmp_path / "cut.onnx", trained.model, runtime="onnxruntime", preprocessing=PREPROCESSING)
    assert not record.passed
    assert "cut.onnx" in record.reason
    assert "\n" not in record.reason


def test_other_input_size_is_caught(fp32, trained):
    wrong = PREPROCESSING.model_copy(update={"img_size": 24})
    record = verify(fp32[1] / "tiny.onnx", trained.model, runtime="onnxruntime", preprocessing=wrong)
    assert record.reason.startswith("onnxruntime cannot run the file: ")
    assert "\n" not in record.reason


def test_real_images_of_another_shape_are_refused(fp32, trained):
    with pytest.raises(InputError, match=r"real images are \(3, 8, 8\) each; preprocessing makes \(3, 16, 16\)"):
        verify(
            fp32[1] / "tiny.onnx",
            trained.model,
            runtime="onnxruntime",
            preprocessing=PREPROCESSING,
            real=trained.real[:, :, :8, :8],
        )


class Magnifying(nn.Module):
    """Adds 1e4 to its answers and takes it off again: float32's last bit becomes a share of 1e-4 and more of what is left."""

    def __init__(self, offset: float):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3 * 16 * 16, 10)
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1)) + self.offset - self.offset


def test_a_model_that_magnifies_its_own_rounding_is_no_wrong_file(monkeypatch):
    monkeypatch.setattr(verify_module, "get_runtime", lambda _: ModuleRuntime(Magnifying(0.0)))
    record = verify(Path("none"), Magnifying(1e4), runtime="fake", preprocessing=PREPROCESSING)
    assert max(check.max_abs_diff / check.max_abs_logit for check in record.checks) > verify_module.TOLERANCE
    assert record.passed, record.reason
    monkeypatch.setattr(verify_module, "ROUNDING", 0.0)
    assert not verify(Path("none"), Magnifying(1e4), runtime="fake", preprocessing=PREPROCESSING).passed
