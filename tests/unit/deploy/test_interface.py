"""Files that normalise by themselves, give probabilities, or take channels last; and how many transposes that leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, SIZE
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.deploy.answers import artifact_answer
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.convert import run_job
from edgewise.deploy.export import export
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.exporters.registry import EXPORTERS, get_exporter
from edgewise.deploy.interface import ChannelsFirst, Interface, Normalize
from edgewise.deploy.probabilities import as_logits
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.registry import can_run, runtime_for
from edgewise.deploy.verify import verify
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ConfigError, ExportError, UnknownNameError
from edgewise.graph.capture import capture

MEAN, STD = (np.array(values, np.float32)[:, None, None] for values in (PREPROCESSING.mean, PREPROCESSING.std))
ENDS = Interface(fold_normalize=True, softmax=True, layout="nhwc")
TRANSPOSES = {"onnx": 1, "openvino": 1, "tflite": 0, "pte": 3, "ncnn": 0, "mlpackage": 0, "pt2": 1}
"""With channels last where the format has them: ONNX and OpenVINO keep the one at the input, LiteRT's operators want none."""


def pixels_of(images: np.ndarray) -> np.ndarray:
    return (images * STD + MEAN) * np.float32(255)


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """A function to the folder of a file of one format, with all that can be put around the network."""

    def make(format_: str, **more: object):
        """Conversions that may are done here: a child's import of torch is what takes the time; JAX must not come in, nor ExecuTorch."""
        layout = "nhwc" if "nhwc" in EXPORTERS[format_].layouts else "nchw"
        out = tmp_path_factory.mktemp("made") / "out"
        given = {"layout": layout, "real": trained.real, "preprocessing": PREPROCESSING, "labels": LABELS}
        given |= {"fold_normalize": True, "softmax": True} | more
        with pytest.MonkeyPatch.context() as patched:
            if format_ in ("onnx", "openvino", "pt2"):
                patched.setattr(Workshop, "run", lambda _, job_file, **__: run_job(job_file))
            export(trained.model, out, format=format_, model_name="tiny", **given)
        return out

    return make


@pytest.mark.parametrize("format_", EXPORTERS)
def test_a_file_takes_pixels_and_gives_probabilities(made, trained, format_) -> None:
    artifact, path = load_artifact(made(format_))
    channels_last = format_ not in ("ncnn", "mlpackage")
    assert artifact.input.shape[1:] == ((SIZE, SIZE, 3) if channels_last else (3, SIZE, SIZE))
    assert (artifact.input.layout, artifact.input.values) == ("nhwc" if channels_last else "nchw", "0-255")
    assert artifact.output == "probabilities"
    assert (artifact.preprocessing.mean, artifact.preprocessing.std) == ((0, 0, 0), (1 / 255,) * 3)
    assert artifact.transposes == TRANSPOSES[format_]
    text = EXPORTERS[format_].metadata(path)
    if text is not None:
        assert (text["layout"], text["values"], text["output"]) == (artifact.input.layout, "0-255", "probabilities")
        assert json.loads(text["mean"]) == [0, 0, 0]
    assert artifact.verification.passed
    assert {each.name for each in artifact.verification.checks} >= {"saturated", "noise", "picture"}
    if not can_run(EXPORTERS[format_].runtime):
        return
    pixels = pixels_of(trained.real[:16])
    fed = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)) if channels_last else pixels
    session = runtime_for(path).load(path, RuntimeOptions())
    try:
        given = np.concatenate([session.run([fed[index : index + 1]])[0] for index in range(len(fed))])
        logits = artifact_answer(session, artifact, (1,))(pixels)
    finally:
        session.close()
    with torch.inference_mode():
        expected = trained.model(torch.from_numpy(trained.real[:16])).softmax(1).numpy()
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(torch.from_numpy(logits).softmax(1).numpy(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("format_", ["onnx", "tflite"])
def test_int8_keeps_normalisation_and_probabilities_fine(made, trained, format_) -> None:
    """A softmax in int8 would give 256 different probabilities, and ties among labels; a normalisation in int8 rounds twice."""
    given = {"precision": "int8", "labelled": trained.labelled, "calibration": trained.calibration, "allow_drop": True}
    probabilities = np.exp(answers_of(made(format_, **given), pixels_of(trained.real)))
    steps = probabilities * 256
    assert np.abs(steps - steps.round()).max() > 0.25
    if format_ == "onnx":
        plain = answers_of(made(format_, fold_normalize=False, softmax=False, **given), trained.real)
        expected = torch.from_numpy(plain).softmax(1).numpy()
        np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-3)
    else:
        with torch.inference_mode():
            expected = trained.model(torch.from_numpy(trained.real)).softmax(1).numpy()
        assert np.abs(probabilities - expected).mean() < 0.01


def answers_of(folder: Path, images: np.ndarray) -> np.ndarray:
    artifact, path = load_artifact(folder)
    session = runtime_for(path).load(path, RuntimeOptions())
    try:
        return artifact_answer(session, artifact, (1,))(images)
    finally:
        session.close()


def wrapped(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts).eval()


class Scaled(nn.Module):
    """A factor on images."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


class Reinterpreted(nn.Module):
    """(N, H, W, C) taken for (N, C, H, W) without moving a number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0], 3, SIZE, SIZE)


class Flipped(nn.Module):
    """Channels in the order BGR."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(-1)


def with_mean_in_the_bias(model: nn.Module) -> nn.Module:
    """Fold normalisation into the first convolution as if it padded with nothing: right but for the border."""
    folded = fuse(model)
    conv = folded.stem.conv
    with torch.no_grad():
        shift = (conv.weight * torch.from_numpy(MEAN / STD)).sum((1, 2, 3))
        conv.bias -= shift
        conv.weight /= 255 * torch.from_numpy(STD)
    return wrapped(ChannelsFirst(), folded, nn.Softmax(1))


def ends_without(network: nn.Module, *, softmax: nn.Module | None = None, first: nn.Module | None = None) -> nn.Module:
    """The right ends around ``network``, with ``softmax`` for theirs and ``first`` ahead of all."""
    parts = (Normalize(PREPROCESSING, "nhwc"), ChannelsFirst(), network, softmax or nn.Softmax(1))
    return wrapped(*((first,) if first is not None else ()), *parts)


WRONG = {
    "the mean in the bias of a padded convolution": with_mean_in_the_bias,
    "pixels from 0 to 1": lambda net: ends_without(net, first=Scaled(255.0)),
    "no normalisation": lambda net: wrapped(ChannelsFirst(), net, nn.Softmax(1)),
    "normalised twice": lambda net: ends_without(wrapped(Normalize(PREPROCESSING, "nchw"), net)),
    "blue first": lambda net: ends_without(net, first=Flipped()),
    "reinterpreted": lambda net: wrapped(Reinterpreted(), Normalize(PREPROCESSING, "nchw"), net, nn.Softmax(1)),
    "logits": lambda net: ends_without(net, softmax=nn.Identity()),
    "softmax twice": lambda net: ends_without(net, softmax=wrapped(nn.Softmax(1), nn.Softmax(1))),
    "softmax over the batch": lambda net: ends_without(net, softmax=nn.Softmax(0)),
    "logarithms": lambda net: ends_without(net, softmax=nn.LogSoftmax(1)),
    "sigmoid": lambda net: ends_without(net, softmax=nn.Sigmoid()),
    "a temperature": lambda net: ends_without(net, softmax=wrapped(Scaled(1.001), nn.Softmax(1))),
}


def verified(trained, tmp_path, module: nn.Module):
    path = tmp_path / "m.pt2"
    program = capture(module, torch.zeros(2, SIZE, SIZE, 3), dynamic_batch=True)
    get_exporter("pt2").export(program, path, ExportOptions())
    return verify(path, trained.model, runtime="torch", preprocessing=PREPROCESSING, interface=ENDS, real=trained.real)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_ends_are_refused(trained, tmp_path, name) -> None:
    assert verified(trained, tmp_path, ENDS.around(fuse(trained.model), PREPROCESSING)).passed
    record = verified(trained, tmp_path, WRONG[name](trained.model))
    assert not record.passed, name
    assert record.reason


def test_small_logits_hide_nothing_behind_a_softmax(trained, tmp_path) -> None:
    """All probabilities of a network with logits near 0 are a tenth; a lost bias still shows."""
    quiet = fuse(trained.model)
    with torch.no_grad():
        quiet.classifier.weight *= 1e-3
        quiet.classifier.bias *= 1e-3
        path, other = tmp_path / "m.pt2", fuse(quiet)
        other.classifier.bias[0] += 1e-4
    for network, passes in ((quiet, True), (other, False)):
        program = capture(ENDS.around(network, PREPROCESSING), torch.zeros(2, SIZE, SIZE, 3), dynamic_batch=True)
        get_exporter("pt2").export(program, path, ExportOptions())
        record = verify(path, quiet, runtime="torch", preprocessing=PREPROCESSING, interface=ENDS)
        assert record.passed == passes, record.reason


def test_probabilities_become_the_logits_again() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(3, 5, (20, 50)).astype(np.float32)
    probabilities = torch.from_numpy(logits).softmax(1).numpy()
    np.testing.assert_allclose(as_logits(probabilities, logits, kind="real"), logits, rtol=0, atol=1e-4)
    moved = logits.copy()
    moved[3, 7] += 1e-2
    found = as_logits(torch.from_numpy(moved).softmax(1).numpy(), logits, kind="real")
    assert 5e-3 < np.abs(found - logits).max() < 2e-2
    with pytest.raises(ExportError, match=r"real: the file must give probabilities; they sum to"):
        as_logits(logits, logits, kind="real")


def test_a_layout_that_a_format_has_not_is_refused(trained, tmp_path) -> None:
    with pytest.raises(ConfigError, match="ncnn files take nchw alone; layout is nhwc"):
        export(trained.model, tmp_path / "out", format="ncnn", preprocessing=PREPROCESSING, layout="nhwc")
    with pytest.raises(UnknownNameError, match="unknown layout 'hwcn'"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, layout="hwcn")
    assert list(tmp_path.iterdir()) == []


def test_litert_reorders_what_it_is_fed_channels_first(made) -> None:
    assert load_artifact(made("tflite", layout="nchw"))[0].transposes == 1
