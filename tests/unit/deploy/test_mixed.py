"""Mixed precision: which layers are measured, how few stay in float, and what comes out of a network that int8 ruins."""

from __future__ import annotations

import copy
import json

import numpy as np
import onnx
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, SIZE, TinyNet
from onnx import TensorProto, helper, numpy_helper

from edgewise.blocks.fuse import fuse
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.convert import convert, run_job, sensitivities
from edgewise.deploy.evaluate import evaluate_file
from edgewise.deploy.export import export
from edgewise.deploy.mixed import keep_in_float
from edgewise.deploy.onnx_layers import onnx_layers
from edgewise.deploy.onnx_sensitivity import layer_sensitivities
from edgewise.deploy.quantise import quantise_onnx
from edgewise.deploy.sensitivity import sqnr_db
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ConfigError, InputError, VerificationError
from edgewise.graph.capture import capture
from edgewise.records.artifact import LayerPrecision, VerificationRecord


def layers(*sqnr: float) -> tuple[LayerPrecision, ...]:
    return tuple(LayerPrecision(name=f"layer{number}", sqnr_db=each) for number, each in enumerate(sqnr))


class Attempts:
    """A file that passes when at least ``enough`` layers are in float."""

    def __init__(self, enough: int) -> None:
        self.enough, self.written = enough, []

    def write(self, *, keep_float) -> None:
        self.written.append(tuple(keep_float))

    def judge(self) -> VerificationRecord:
        return VerificationRecord(
            runtime=str(len(self.written[-1])),
            passed=len(self.written[-1]) >= self.enough,
            tolerance=0.0,
            checks=(),
            batch_sizes=(),
        )


@pytest.mark.parametrize("enough", range(1, 9))
def test_the_fewest_most_sensitive_layers_stay_in_float(enough: int) -> None:
    given = layers(30, 12, 50, 8, 44, 21, 33, 60, 27)
    by_sensitivity = ["layer3", "layer1", "layer5", "layer8", "layer0", "layer6", "layer4", "layer2", "layer7"]
    attempts = Attempts(enough)
    record, found = keep_in_float(given, attempts.write, attempts.judge)
    assert (record.passed, record.runtime) == (True, str(enough))
    assert [layer.name for layer in found] == by_sensitivity
    assert [layer.in_float for layer in found] == [True] * enough + [False] * (9 - enough)
    assert attempts.written[-1] == tuple(by_sensitivity[:enough]), "the file that lies there is the one that is told of"
    assert len(attempts.written) <= 5


def test_a_file_that_no_layer_saves_is_left_whole_in_int8() -> None:
    attempts = Attempts(9)
    record, found = keep_in_float(layers(30, 12, 50, 8, 44, 21, 33, 60, 27), attempts.write, attempts.judge)
    assert (record.passed, found) == (False, ())
    assert attempts.written[-1] == ()


def test_layers_are_operators_with_weights_and_what_follows() -> None:
    weights = [numpy_helper.from_array(np.zeros((3, 3), np.float32), name) for name in ("a.weight", "val_7")]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], name="before"),
        helper.make_node("MatMul", ["r", "a.weight"], ["m"], name="first"),
        helper.make_node("Relu", ["m"], ["n"], name="after"),
        helper.make_node("MatMul", ["n", "val_7"], ["o"], name="second"),
        helper.make_node("MatMul", ["n", "o"], ["p"], name="attention"),
        helper.make_node("Add", ["p", "r"], ["q"], name="sum"),
        helper.make_node("Gemm", ["q", "a.weight"], ["s"], name="again"),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (3, 3)) for name in ("x", "s")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], weights)
    assert onnx_layers(graph) == {
        "a": ("before", "first", "after"),
        "second": ("second", "attention", "sum"),
        "a (2)": ("again",),
    }
    assert onnx_layers(helper.make_graph(nodes[:1], "g", ports[:1], ports[1:])) == {}


def test_signal_to_noise() -> None:
    exact = np.array([[3.0, 4.0]], np.float32)
    assert sqnr_db(exact, exact + np.array([[0.3, 0.4]], np.float32)) == pytest.approx(20, abs=1e-4)
    assert sqnr_db(exact, exact) == 120
    assert sqnr_db(0 * exact, exact) == 0


@pytest.fixture(scope="module")
def spoilt(trained) -> TinyNet:
    """The trained network with one channel a thousand times louder than the rest, which the next layer takes back: equal in float."""
    model = copy.deepcopy(trained.model)
    with torch.no_grad():
        model.depthwise.bn.weight[0] *= 1000
        model.depthwise.bn.bias[0] *= 1000
        model.project.conv.weight[:, 0] /= 1000
    return model


def test_sensitivities_are_measured_with_one_calibration(fp32, trained, tmp_path) -> None:
    np.save(tmp_path / "images.npy", trained.calibration)
    source = fp32[1] / "tiny.onnx"
    found = layer_sensitivities(source, tmp_path, calibration=tmp_path / "images.npy")
    names = [layer.name for layer in found]
    assert names == ["stem.conv", "expand.conv", "depthwise.conv", "project.conv", "down.conv", "head", "classifier"]
    assert all(15 < layer.sqnr_db < 60 for layer in found)
    ranges = json.loads((tmp_path / "ranges.json").read_text())
    (tmp_path / "ranges.json").write_text(json.dumps({name: (low, 100 * high) for name, (low, high) in ranges.items()}))
    again = layer_sensitivities(source, tmp_path, calibration=tmp_path / "images.npy")
    assert max(layer.sqnr_db for layer in again) < min(layer.sqnr_db for layer in found), "the ranges kept are used"


def test_layers_in_float_hold_no_int8(fp32, trained, tmp_path) -> None:
    np.save(tmp_path / "images.npy", trained.calibration)
    source, path = fp32[1] / "tiny.onnx", tmp_path / "m.onnx"
    quantise_onnx(source, path, calibration=tmp_path / "images.npy", keep_float=["down.conv", "head"])
    kept = {tensor.name for tensor in onnx.load(path).graph.initializer if tensor.data_type == TensorProto.FLOAT}
    assert {"down.conv.weight", "head.weight"} <= kept
    assert "stem.conv.weight" not in kept


@pytest.fixture
def in_this_process(monkeypatch) -> None:
    """Children's jobs done here: importing torch anew for each attempt is what takes the time."""
    monkeypatch.setattr(Workshop, "run", lambda _, job_file, **__: run_job(job_file))


@pytest.mark.usefixtures("in_this_process")
def test_a_network_that_int8_ruins_is_saved_by_its_worst_layers(spoilt, trained, tmp_path) -> None:
    given = {
        "precision": "int8",
        "preprocessing": PREPROCESSING,
        "labels": LABELS,
        "labelled": trained.labelled,
        "calibration": trained.calibration,
    }
    with pytest.raises(VerificationError, match=r"top-1 falls from .*; mixed \(--mixed\) keeps the most sensitive lay"):
        export(spoilt, tmp_path / "plain", **given)
    artifact = export(spoilt, tmp_path / "mixed", mixed=True, fold_normalize=True, layout="nhwc", **given)
    assert artifact.verification.passed
    kept = {layer.name for layer in artifact.layers if layer.in_float}
    assert kept == {"depthwise.conv", "project.conv"}, "those on both sides of the loud channel"
    assert len(artifact.layers) == 7
    assert [layer.sqnr_db for layer in artifact.layers] == sorted(layer.sqnr_db for layer in artifact.layers)
    _, path = load_artifact(tmp_path / "mixed")
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (PREPROCESSING.mean, PREPROCESSING.std))
    pixels = ((255 * (images * std + mean), targets) for images, targets in trained.labelled())
    answers = evaluate_file(path, pixels, runtime="onnxruntime", artifact=artifact)
    assert answers.top1 == pytest.approx(artifact.verification.top1_file, abs=0.003)


def test_openvino_keeps_the_layer_in_float_that_takes_the_loud_channel(spoilt, trained, tmp_path) -> None:
    """Conversions alone: a child's import of the converters is what takes the time."""
    program = capture(fuse(spoilt).cpu(), torch.zeros(1, 3, SIZE, SIZE))
    found = sensitivities(program, tmp_path, format="openvino", calibration=trained.calibration)
    assert {layer.name for layer in found} == {
        *("stem.conv", "expand.conv", "depthwise.conv", "project.conv", "down.conv", "head", "classifier")
    }
    worst, second = sorted(found, key=lambda layer: layer.sqnr_db)[:2]
    assert (worst.name, worst.sqnr_db < 5) == ("project.conv", True)
    assert second.sqnr_db > 10
    path = tmp_path / "m.xml"
    given = {"format": "openvino", "precision": "int8", "calibration": trained.calibration}
    convert(program, path, keep_float=["project.conv"], **given)
    saved = evaluate_file(path, trained.labelled(), runtime="openvino").top1
    assert saved > 0.9
    import openvino

    operators = {op.friendly_name: op for op in openvino.Core().read_model(path).get_ops()}
    float_weights = operators["convolution_3/aten.convolution.default/Convolution"].input_value(1).get_node()
    assert (float_weights.get_type_name(), float_weights.get_element_type().to_string()) == ("Constant", "f32")


@pytest.mark.usefixtures("in_this_process")
def test_mixing_changes_nothing_where_int8_is_good(int8, trained, tmp_path) -> None:
    artifact = export(
        trained.model,
        tmp_path / "out",
        precision="int8",
        preprocessing=PREPROCESSING,
        labels=LABELS,
        model_name="tiny",
        labelled=trained.labelled,
        calibration=trained.calibration,
        mixed=True,
    )
    assert artifact.layers == ()
    assert artifact.sha256 == int8[0].sha256


def test_what_mixing_needs(trained, tmp_path) -> None:
    given = {"preprocessing": PREPROCESSING, "calibration": trained.calibration, "mixed": True}
    with pytest.raises(
        ConfigError, match=r"onnx fp32 cannot be mixed; layers can be kept in float in int8 files of onnx, openvino"
    ):
        export(trained.model, tmp_path / "out", labelled=trained.labelled, **given)
    with pytest.raises(ConfigError, match="pte int8 cannot be mixed"):
        export(trained.model, tmp_path / "out", format="pte", precision="int8", labelled=trained.labelled, **given)
    with pytest.raises(InputError, match="mixed precision is searched by top-1 on labelled images; none were given"):
        export(trained.model, tmp_path / "out", precision="int8", real=trained.real, **given)
