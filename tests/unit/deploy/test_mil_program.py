"""Core ML packages computed by torch: every operator against the module that it was converted from."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.seeded_bugs.bug import Right
from tests.seeded_bugs.judge import refusal
from tests.seeded_bugs.registry import BUGS
from tests.seeded_bugs.specimen import PREPROCESSING, specimen
from tests.seeded_bugs.subjects import SUBJECTS, right_export
from torch import nn
from torch.nn import functional as F

from edgewise.blocks.fuse import fuse
from edgewise.deploy import mil_program
from edgewise.deploy.export import export
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.mil_program import OPERATORS, MilSession, UnknownOperatorError, load_program
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.structure import verify_structure
from edgewise.errors import VerificationError
from edgewise.graph.capture import capture

SIZE = 13


class Of(nn.Module):
    """A function of one image (1, 4, 13, 13) and seeded weights."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def conv(**options: object) -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(4, 8, 3, **options)


def norm(kind: type[nn.Module], *sizes: int) -> nn.Module:
    torch.manual_seed(0)
    module = kind(*sizes).eval()
    for tensor in [*module.parameters(), *(each for each in module.buffers() if each.is_floating_point())]:
        tensor.data.uniform_(0.5, 1.5)
    return module


MODULES = {
    "conv": conv(stride=2, padding=1),
    "conv without bias": conv(padding=(0, 2), dilation=2, bias=False),
    "conv in groups": conv(groups=4, padding=1),
    "conv of the same size": conv(padding="same"),
    "linear": nn.Sequential(nn.Flatten(2), norm(nn.Linear, SIZE * SIZE, 5)),
    "average": nn.AvgPool2d(3, 2, 1),
    "average without the padding": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    "maximum": nn.MaxPool2d(3, 2, 1),
    "batch norm": nn.Sequential(norm(nn.BatchNorm2d, 4), nn.ReLU()),
    "layer norm": norm(nn.LayerNorm, SIZE),
    "zero padding": Of(lambda x: F.pad(x, (1, 2, 3, 0))),
    "reflected padding": Of(lambda x: F.pad(x, (1, 2, 3, 4), mode="reflect")),
    "repeated padding": Of(lambda x: F.pad(x, (1, 2, 3, 4), mode="replicate")),
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "clamp": Of(lambda x: x.clamp(-0.5, 0.7)),
    "prelu": norm(nn.PReLU, 4),
    "leaky relu": nn.LeakyReLU(0.1),
    "sigmoid": nn.Sigmoid(),
    "hard sigmoid": nn.Hardsigmoid(),
    "hard swish": nn.Hardswish(),
    "silu": nn.SiLU(),
    "gelu": nn.GELU(),
    "tanh": nn.Tanh(),
    "softplus": nn.Softplus(),
    "softmax": nn.Softmax(1),
    "exp": Of(torch.exp),
    "erf": Of(torch.erf),
    "root and square": Of(lambda x: (x.abs() + 1).sqrt() * x**2),
    "difference and quotient": Of(lambda x: (x - x.mean(1, keepdim=True)) / (2 + x.amax((2, 3), keepdim=True))),
    "smaller": Of(lambda x: torch.minimum(x, x * x)),
    "larger": Of(lambda x: torch.maximum(x, x * x)),
    "sum": Of(lambda x: x.sum((1, 2))),
    "product of matrices": Of(lambda x: x @ x.transpose(-1, -2)),
    "pieces": Of(lambda x: torch.cat(x.split([1, 3], 1)[::-1], 1)),
    "halves": Of(lambda x: x.chunk(2, 1)[1]),
    "slices": Of(lambda x: x[:, 1:3, ::2, 5]),
    "shapes": Of(lambda x: x.flatten(2).transpose(1, 2).unsqueeze(1).squeeze(0)),
    "repeated": Of(lambda x: x.repeat(1, 2, 1, 3)),
}


def computed(module: nn.Module, folder: Path, images: torch.Tensor) -> np.ndarray:
    path = folder / "m.mlpackage"
    with quiet():
        get_exporter("mlpackage").export(capture(module, images), path, ExportOptions())
        program = load_program(path)
    return MilSession(program).run([images.numpy()])[0]


@pytest.mark.parametrize("name", MODULES)
def test_operators_compute_what_the_module_does(tmp_path, name) -> None:
    images = torch.randn(1, 4, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 3
    module = MODULES[name].eval()
    with torch.no_grad():
        wanted = module(images).numpy()
    np.testing.assert_allclose(computed(module, tmp_path, images), wanted, rtol=1e-4, atol=1e-5)


def test_gelu_by_tanh() -> None:
    x = torch.linspace(-4, 4, 99)
    for mode, wanted in (("EXACT", F.gelu(x)), ("TANH_APPROXIMATION", F.gelu(x, approximate="tanh"))):
        assert torch.equal(OPERATORS["gelu"]({"x": x, "mode": mode}), wanted)
    by_sigmoid = OPERATORS["gelu"]({"x": x, "mode": "SIGMOID_APPROXIMATION"})
    np.testing.assert_allclose(by_sigmoid, F.gelu(x), atol=0.03)
    assert not torch.equal(by_sigmoid, F.gelu(x))


def test_a_bug_of_coremltools_is_caught(tmp_path) -> None:
    """coremltools 9 reads the approximate GELU of torch.export as the exact one, without a word."""
    model = specimen()
    model.grouped.act = nn.GELU(approximate="tanh")
    with pytest.raises(VerificationError, match=r"fails verification: .*logits differ by up to"):
        export(model, tmp_path / "out", format="mlpackage", preprocessing=PREPROCESSING)


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> Right:
    return right_export(SUBJECTS["specimen"], "mlpackage", tmp_path_factory.mktemp("right"))


@pytest.mark.parametrize("name", ["ReLU for ReLU6", "padding counted in the average", "classifier bias dropped"])
def test_a_package_is_refused_for_what_it_computes(right, name) -> None:
    assert {check.name for check in right.artifact.verification.checks} >= {"zeros", "far", "noise", "picture"}
    assert "logits differ by up to" in refusal(BUGS[f"mlpackage: {name}"], right)


def test_an_operator_without_a_rule_leaves_the_structure(right, monkeypatch) -> None:
    program = capture(fuse(right.model), torch.zeros(1, 3, 32, 32))
    options = {"preprocessing": PREPROCESSING, "num_classes": 16, "model": right.model}
    assert verify_structure(right.path, program, **options).checks
    rules = {name: rule for name, rule in OPERATORS.items() if name != "softmax"}
    monkeypatch.setattr(mil_program, "OPERATORS", rules)
    record = verify_structure(right.path, program, **options)
    assert (record.passed, record.checks, record.tolerance) == (True, (), 0.0)
    with quiet():
        session = MilSession(load_program(right.path))
    with pytest.raises(UnknownOperatorError, match="no rule for Core ML's operator softmax"):
        session.run([np.zeros((1, 3, 32, 32), np.float32)])
    assert session.inputs[0].shape == (1, 3, 32, 32)


def test_half_precision_is_judged_by_its_answers(right, tmp_path) -> None:
    path = tmp_path / "half.mlpackage"
    program = capture(fuse(right.model), torch.zeros(1, 3, 32, 32))
    with quiet():
        get_exporter("mlpackage").export(program, path, ExportOptions(precision="fp16"))
    options = {"preprocessing": PREPROCESSING, "num_classes": 16}
    record = verify_structure(path, program, model=right.model, precision="fp16", **options)
    assert record.passed, record.reason
    assert record.checks[4].max_abs_diff > 1e-4 * record.checks[4].max_abs_logit
    assert not verify_structure(path, program, model=right.model, **options).passed, "it is no fp32"
    other = copy.deepcopy(right.model)
    other.expand.act = nn.ReLU()
    record = verify_structure(path, program, model=other, precision="fp16", **options)
    assert re.fullmatch(r"noise: logits differ by up to \S+, accepted \S+ in half precision", record.reason)
