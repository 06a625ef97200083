"""Bugs of one format: what its own tools do by default, its text, its separate weights, its way to store maps."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from edgewise.deploy.exporters import executorch
from edgewise.deploy.exporters.litert import LiteRtExporter
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.graph.capture import capture
from tests.seeded_bugs.bug import Bug, Right, Seed
from tests.seeded_bugs.modules import of_wrong_model, write
from tests.seeded_bugs.specimen import specimen
from tests.seeded_bugs.weights import other_epsilon

Text = dict[str, str]


def _said_otherwise(change: Callable[[Text], object]) -> Seed:
    """Return a seed that converts the right model and puts another text inside."""

    def seed(right: Right, path: Path) -> None:
        text = dict(right.metadata)
        change(text)
        assert text != right.metadata
        write(right.model, right, path, metadata=text)

    return seed


def _cut(right: Right, path: Path) -> None:
    content = right.path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.9)])


def two_at_once(right: Right, path: Path) -> None:
    """Convert for a batch of two where one was asked for."""
    write(right.model, right, path, shape=(2, *right.artifact.input.shape[1:]))


def _bin_of_another_run(right: Right, path: Path) -> None:
    """Put the weights of another run beside the right graph."""
    write(specimen(seed=1), right, path)
    shutil.copy(right.path, path)


def _bin_cut(right: Right, path: Path) -> None:
    shutil.copy(right.path, path)
    content = right.path.with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(content[: len(content) // 8 * 4])


def _ir(change: Callable[[Any], Any], **options: bool) -> Seed:
    """Return a seed that saves the right IR again, as OpenVINO's own tools do, after ``change``."""

    def seed(right: Right, path: Path) -> None:
        import openvino

        model = openvino.Core().read_model(right.path)
        openvino.save_model(change(model) or model, path, **{"compress_to_fp16": False} | options)

    return seed


def _normalised_inside(model: Any) -> Any:
    import openvino
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().tensor().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().mean([0.485, 0.456, 0.406]).scale([0.229, 0.224, 0.225])
    return steps.build()


def _channels_last_ir(model: Any) -> Any:
    import openvino
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().tensor().set_layout(openvino.Layout("NHWC"))
    return steps.build()


def _tflite_without_text(right: Right, path: Path) -> None:
    with zipfile.ZipFile(right.path) as archive:
        start = min(each.header_offset for each in archive.infolist())
    path.write_bytes(right.path.read_bytes()[:start])


def _channels_last_tflite(right: Right, path: Path) -> None:
    import litert_torch

    model = litert_torch.to_channel_last_io(right.model, args=[0])
    chans, height, width = right.artifact.input.shape[1:]
    program = capture(model, torch.zeros(1, height, width, chans))
    LiteRtExporter().export(program, path, ExportOptions(metadata=right.metadata))


def _eight_bit_tflite(right: Right, path: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    plain = path.with_suffix(".plain")
    _tflite_without_text(right, plain)
    work = quantizer.Quantizer(str(plain))
    work.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    work.quantize().export_model(str(path), overwrite=True)
    plain.unlink()
    with zipfile.ZipFile(right.path) as archive, zipfile.ZipFile(path, "a") as other:
        for each in archive.infolist():
            other.writestr(each.filename, archive.read(each))


def _eight_bit_pte(right: Right, path: Path) -> None:
    images = np.random.default_rng(0).standard_normal((8, *right.artifact.input.shape[1:]), np.float32)
    quantised = executorch._quantised(capture(right.model, torch.zeros(1, *images.shape[1:])), images)
    write(quantised.module(), right, path)


def _ncnn_in_half(right: Right, path: Path) -> None:
    """Leave pnnx at its default, which stores weights as float16."""
    plain = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        assert "fp16=0" in command
        return plain([each.replace("fp16=0", "fp16=1") for each in command], **options)

    with mock.patch("edgewise.deploy.exporters.ncnn.subprocess.run", run):
        write(right.model, right, path)


def _ncnn_graph(pattern: str, instead: str) -> Seed:
    """Return a seed that changes the first match in the graph's text."""

    def seed(right: Right, path: Path) -> None:
        text = right.path.read_text()
        changed, count = re.subn(pattern, instead, text, count=1, flags=re.MULTILINE)
        assert count == 1, text
        path.write_text(changed)
        shutil.copy(right.path.with_suffix(".bin"), path.with_suffix(".bin"))

    return seed


def _half_package(right: Right, path: Path) -> None:
    """Convert as coremltools does by default."""
    write(right.model, right, path, precision="fp16")


def _package_input_renamed(right: Right, path: Path) -> None:
    import coremltools as ct

    spec = ct.utils.load_spec(str(right.path))
    ct.utils.rename_feature(spec, "images", "x")
    weights = right.path / "Data" / "com.apple.CoreML" / "weights"
    ct.models.MLModel(spec, weights_dir=str(weights), skip_model_load=True).save(str(path))


def _red_and_blue(model: nn.Module) -> None:
    model.stem.conv.weight.copy_(model.stem.conv.weight.flip(1))


def _transposed_kernel(model: nn.Module) -> None:
    model.stem.conv.weight.copy_(model.stem.conv.weight.transpose(2, 3).clone())


def _transposed_head(model: nn.Module) -> None:
    model.classifier.weight.copy_(model.classifier.weight.T.clone())


def _shifted_classes(model: nn.Module) -> None:
    model.classifier.weight.copy_(model.classifier.weight.roll(1, 0))
    model.classifier.bias.copy_(model.classifier.bias.roll(1, 0))


def _no_bias(model: nn.Module) -> None:
    model.classifier.bias.zero_()


def _no_padding(model: nn.Module) -> None:
    model.stem.conv.padding = (0, 0)


def _plain_relu(model: nn.Module) -> None:
    model.expand.act = nn.ReLU()


def _no_gate(model: nn.Module) -> None:
    model.gate = nn.Identity()


def _counted_padding(model: nn.Module) -> None:
    model.pool.count_include_pad = True


def _bug(format_: str, name: str, imitates: str, seed: Seed) -> Bug:
    return Bug(name=f"{format_}: {name}", imitates=imitates, seed=seed, format=format_)


BUGS = (
    Bug(
        name="file cut short",
        imitates="a download or a full disk ends a file early",
        seed=_cut,
    ),
    _bug(
        "openvino",
        "weights in half precision",
        "OpenVINO's save_model compresses weights to float16 unless told otherwise",
        _ir(lambda model: None, compress_to_fp16=True),
    ),
    _bug(
        "openvino",
        "weights of another run",
        "graph and weights lie in two files, and one of them is of another export",
        _bin_of_another_run,
    ),
    _bug("openvino", "weights cut short", "the second file is copied in part", _bin_cut),
    _bug(
        "openvino",
        "normalisation inside",
        "the IR is given a preprocessing step for pictures that are normalised already",
        _ir(_normalised_inside),
    ),
    _bug("openvino", "channels last", "the IR takes (N, H, W, C)", _ir(_channels_last_ir)),
    _bug(
        "openvino",
        "fixed batch of two",
        "the example that was traced had two images",
        two_at_once,
    ),
    _bug(
        "openvino",
        "says bf16",
        "the precision that a file says decides what OpenVINO computes in",
        _said_otherwise(lambda text: text.update(precision="bf16")),
    ),
    _bug(
        "openvino",
        "labels in another order",
        "class names are sorted on their way into the IR",
        _said_otherwise(lambda text: text.update(names=json.dumps(sorted(json.loads(text["names"]))))),
    ),
    _bug(
        "tflite", "text lost", "an optimiser writes the flatbuffer anew, without what is appended", _tflite_without_text
    ),
    _bug("tflite", "channels last", "the input takes (N, H, W, C), TensorFlow's order", _channels_last_tflite),
    _bug(
        "tflite",
        "weights in eight bits",
        "the converter's default optimisation quantises weights in a file that says fp32",
        _eight_bit_tflite,
    ),
    _bug("tflite", "another epsilon", "a norm's epsilon becomes Keras's default", of_wrong_model(other_epsilon)),
    _bug("tflite", "ReLU for ReLU6", "a fused activation loses its upper bound", of_wrong_model(_plain_relu)),
    _bug("pte", "eight bits", "a program quantised for XNNPACK is delivered as fp32", _eight_bit_pte),
    _bug("pte", "batch of two", "the memory plan is made for two images", two_at_once),
    _bug(
        "pte",
        "text of another export",
        "the constant method returns an older recipe",
        _said_otherwise(lambda text: text.update(preprocessing=text["preprocessing"].replace("0.875", "1.0"))),
    ),
    _bug(
        "pte",
        "padding counted in the average",
        "count_include_pad is lost in lowering",
        of_wrong_model(_counted_padding),
    ),
    _bug("ncnn", "weights in half precision", "pnnx stores weights as float16 unless told otherwise", _ncnn_in_half),
    _bug("ncnn", "weights of another run", "`.param` and `.bin` are of two exports", _bin_of_another_run),
    _bug("ncnn", "weights cut short", "the second file is copied in part", _bin_cut),
    _bug(
        "ncnn",
        "hard-swish of another slope",
        "ncnn's default slope of 0.2 stays where a sixth was meant",
        _ncnn_graph(r"^(HardSwish .*) 0=0\.1666\S*", r"\1 0=0.2"),
    ),
    _bug(
        "ncnn", "padding dropped", "a convolution's padding is lost", _ncnn_graph(r"^(Convolution .*) 4=1", r"\1 4=0")
    ),
    _bug("mlpackage", "half precision", "coremltools computes in float16 unless told otherwise", _half_package),
    _bug("mlpackage", "weights of another run", "two runs are mixed up", of_wrong_model(lambda _: specimen(seed=1))),
    _bug("mlpackage", "red and blue swapped", "the package takes BGR", of_wrong_model(_red_and_blue)),
    _bug("mlpackage", "kernel transposed", "HWIO weights are read as WHIO", of_wrong_model(_transposed_kernel)),
    _bug("mlpackage", "square head transposed", "row- and column-major are confused", of_wrong_model(_transposed_head)),
    _bug("mlpackage", "classes shifted by one", "a background class is counted once", of_wrong_model(_shifted_classes)),
    _bug("mlpackage", "classifier bias dropped", "a linear layer becomes a bare product", of_wrong_model(_no_bias)),
    _bug("mlpackage", "padding dropped", "padding is read as valid", of_wrong_model(_no_padding)),
    _bug("mlpackage", "another epsilon", "a norm's epsilon becomes 1e-3 in folding", of_wrong_model(other_epsilon)),
    _bug("mlpackage", "ReLU for ReLU6", "an activation loses its upper bound", of_wrong_model(_plain_relu)),
    _bug("mlpackage", "gate skipped", "squeeze-and-excitation is optimised away", of_wrong_model(_no_gate)),
    _bug(
        "mlpackage",
        "padding counted in the average",
        "count_include_pad is lost in conversion",
        of_wrong_model(_counted_padding),
    ),
    _bug("mlpackage", "input under another name", "programs that feed by name fail", _package_input_renamed),
    _bug(
        "mlpackage",
        "labels missing",
        "the user-defined metadata is written without the names",
        _said_otherwise(lambda text: text.update(names="[]")),
    ),
    _bug(
        "pt2",
        "stale recipe",
        "the archive's extra file says another interpolation",
        _said_otherwise(lambda text: text.update(preprocessing=text["preprocessing"].replace("bicubic", "bilinear"))),
    ),
)
