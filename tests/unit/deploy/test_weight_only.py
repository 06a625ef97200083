"""int8 weights and fp16: nothing to calibrate, files that are smaller and answer all but like the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, SIZE

from edgewise.blocks.fuse import fuse
from edgewise.deploy import structure
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.export import export
from edgewise.deploy.exporters.registry import EXPORTERS, check_precision
from edgewise.deploy.structure import verify_structure
from edgewise.deploy.support import LEFT_OUT
from edgewise.errors import ConfigError, InputError
from edgewise.graph.capture import capture


@pytest.fixture(scope="module")
def light(trained, tmp_path_factory) -> Path:
    """An ONNX file with int8 weights."""
    folder = tmp_path_factory.mktemp("light") / "out"
    given = {"preprocessing": PREPROCESSING, "model_name": "tiny", "real": trained.real, "labelled": trained.labelled}
    export(trained.model, folder, precision="int8-weights", **given)
    return folder


def test_onnx_weights_are_rounded_and_no_more(light, fp32, trained) -> None:
    artifact, path = load_artifact(light)
    proof = artifact.verification
    assert (proof.passed, proof.paired.drop <= 0.01) == (True, True)
    real = next(check for check in proof.checks if check.name == "real")
    assert 1e-3 < real.max_abs_diff / real.max_abs_logit < 0.1
    num_weights = sum(each.numel() for each in trained.model.parameters() if each.ndim > 1)
    assert (fp32[1] / "tiny.onnx").stat().st_size - path.stat().st_size > 2 * num_weights


def test_a_file_is_judged_even_though_nothing_is_calibrated(trained, tmp_path) -> None:
    with pytest.raises(InputError, match="int8-weights is judged on labelled images, or else on real ones"):
        export(trained.model, tmp_path / "out", precision="int8-weights", preprocessing=PREPROCESSING)


def test_onnx_weights_are_bytes_with_a_scale_per_output_channel(light, trained) -> None:
    _, path = load_artifact(light)
    tensors = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    fused = dict(fuse(trained.model).named_parameters())
    whole = {name.removesuffix(".int8"): tensor for name, tensor in tensors.items() if name.endswith(".int8")}
    assert whole.keys() == {name for name, parameter in fused.items() if parameter.ndim > 1}
    for name, tensor in whole.items():
        values, scale = (onnx.numpy_helper.to_array(each) for each in (tensor, tensors[f"{name}.scale"]))
        exact = fused[name].detach().numpy()
        assert (values.dtype, scale.size) == (np.int8, len(exact))
        assert (np.abs(values * scale - exact) <= 0.5001 * scale).all()
        assert set(np.abs(values).reshape(len(exact), -1).max(1)) == {127}


def test_onnx_runtime_restores_the_weights_once(light, tmp_path) -> None:
    settings = ort.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    ort.InferenceSession(load_artifact(light)[1], settings, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "loaded.onnx").graph
    assert not {node.op_type for node in graph.node} & {"Cast", "DequantizeLinear"}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    weights = [constants[node.input[1]] for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.FLOAT}


def test_core_ml_weights_are_compared_within_their_step(trained, tmp_path) -> None:
    given = {"preprocessing": PREPROCESSING, "labels": LABELS, "model_name": "tiny"}
    artifact = export(trained.model, tmp_path / "out", format="mlpackage", precision="int8-weights", **given)
    assert (artifact.verification.kind, artifact.verification.passed) == ("structure", True)
    _, path = load_artifact(tmp_path / "out")
    weights = next(path.rglob("weight.bin"))
    num_weights = sum(each.numel() for each in trained.model.parameters() if each.ndim > 1)
    assert weights.stat().st_size < 1.5 * num_weights
    wanted = {"preprocessing": PREPROCESSING, "num_classes": 10, "precision": "int8-weights"}
    other = fuse(trained.model)
    assert verify_structure(path, capture(other, torch.zeros(1, 3, SIZE, SIZE)), **wanted).passed
    with torch.no_grad():
        other.down.conv.weight[:4] *= 0.5
    record = verify_structure(path, capture(other, torch.zeros(1, 3, SIZE, SIZE)), **wanted)
    assert record.reason == "the weights down.conv.weight are not in the package as they are in the model"


def test_half_precision_holds_the_same_values_whatever_they_are() -> None:
    """Of trained networks every tenth tensor was refused once: its sum of squares lay at the edge of what is rounded alike."""
    generator = np.random.default_rng(0)
    for size in range(64, 364):
        exact = generator.standard_normal(size).astype(np.float32) * 0.1
        assert structure._is_same(exact.astype(np.float16), exact)
        assert structure._is_same(-3 * exact[::-1], exact)
        assert not structure._is_same(exact, np.append(exact[1:], 2 * np.abs(exact).max()))
        assert not structure._is_same(exact[1:], exact)


def test_what_is_left_out_is_refused_with_its_reason() -> None:
    for (format_, precision), reason in LEFT_OUT.items():
        assert precision not in EXPORTERS[format_].precisions
        with pytest.raises(ConfigError) as caught:
            check_precision(EXPORTERS[format_], precision)
        assert str(caught.value).startswith(f"{format_} has no {precision}: {reason}; accepted: fp32")
