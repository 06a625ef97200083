"""OpenVINO, LiteRT, ExecuTorch, ncnn and Core ML: files made, reloaded in the real runtime, judged, measured and refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, SIZE, TinyNet
from torch import nn

from edgewise.bench.case import Case
from edgewise.bench.protocol import measure_cases
from edgewise.blocks.fuse import fuse
from edgewise.blocks.state_hash import sha256_of_state
from edgewise.cli.render import render_artifact
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.evaluate import evaluate_file
from edgewise.deploy.export import export
from edgewise.deploy.exporters.registry import EXPORTERS, get_exporter
from edgewise.deploy.runtimes.formats import files_of, format_of, model_bytes
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.registry import RUNTIMES, get_runtime, runtime_for
from edgewise.deploy.structure import verify_structure
from edgewise.errors import ConfigError, ExportError, InputError, MissingExtraError
from edgewise.graph.capture import capture
from edgewise.records.artifact import Preprocessing

RUNNING = ("openvino", "tflite", "pte", "ncnn")
"""Formats whose runtimes exist here."""
REDUCED = [(name, each) for name in RUNNING for each in EXPORTERS[name].precisions if each != "fp32"]


@pytest.fixture(scope="module")
def made(trained, tmp_path_factory):
    """A function to the folder of one format and precision of the trained network, made once."""
    done = {}

    def make(format_: str, precision: str = "fp32") -> Path:
        key = format_, precision
        if key not in done:
            done[key] = tmp_path_factory.mktemp("made") / "out"
            export(
                trained.model,
                done[key],
                format=format_,
                precision=precision,
                preprocessing=PREPROCESSING,
                labels=LABELS,
                model_name="tiny",
                real=trained.real,
                labelled=trained.labelled,
                calibration=trained.calibration if precision == "int8" else None,
                credits_={"author": "A. Person"},
            )
        return done[key]

    return make


@pytest.mark.parametrize("format_", RUNNING)
def test_fp32_answers_like_the_model(made, trained, format_) -> None:
    artifact, path = load_artifact(made(format_))
    assert artifact.verification is not None
    assert artifact.verification.passed
    assert artifact.verification.runtime == get_exporter(format_).runtime == runtime_for(path).name
    assert {check.name for check in artifact.verification.checks} >= {
        "real",
        "zeros",
        "ones",
        "saturated",
        "noise",
        "pixel",
    }
    assert artifact.input.shape == ((1, SIZE, SIZE, 3) if format_ == "tflite" else (1, 3, SIZE, SIZE))
    assert format_of(path) == artifact.format == format_
    assert sorted(artifact.files) == sorted(each.name for each in files_of(path))
    assert (
        artifact.file_bytes == model_bytes(path) == sum((path.parent / name).stat().st_size for name in artifact.files)
    )
    runtime = artifact.verification.runtime
    answers = evaluate_file(path, trained.labelled(), runtime=runtime, artifact=artifact, threads=1, keep_logits=True)
    with torch.inference_mode():
        expected = torch.cat([trained.model(torch.from_numpy(images)) for images, _ in trained.labelled()]).numpy()
    np.testing.assert_allclose(answers.logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("format_", "precision"), REDUCED)
def test_reduced_precisions_are_judged_on_labelled_pictures(made, format_, precision) -> None:
    artifact, path = load_artifact(made(format_, precision))
    proof = artifact.verification
    assert proof is not None
    assert proof.passed
    assert proof.top1_model - proof.top1_file <= proof.max_drop == 0.01
    assert (artifact.precision, proof.tolerance) == (precision, 0.0)
    real = next(check for check in proof.checks if check.name == "real")
    assert real.max_abs_diff > 1e-4 * real.max_abs_logit, "it computes in float32"
    weights, whole = files_of(path)[-1], files_of(load_artifact(made(format_))[1])[-1]
    assert weights.stat().st_size < whole.stat().st_size


@pytest.mark.parametrize("format_", [format_ for format_, precision in REDUCED if precision == "int8"])
def test_int8_needs_real_pictures(trained, tmp_path, format_) -> None:
    with pytest.raises(
        InputError, match="int8 needs at least 32 different real images to calibrate on; none were given"
    ):
        export(trained.model, tmp_path / "out", format=format_, precision="int8", preprocessing=PREPROCESSING)


def test_metadata_travels_inside(made) -> None:
    import openvino
    from executorch.runtime import Runtime

    _, graph = load_artifact(made("openvino"))
    model = openvino.Core().read_model(graph)
    assert model.get_rt_info(["edgewise", "author"]).value == "A. Person"
    assert json.loads(model.get_rt_info(["edgewise", "names"]).value) == list(LABELS)
    assert (model.inputs[0].any_name, model.outputs[0].any_name) == ("images", "logits")
    _, flat = load_artifact(made("tflite"))
    with zipfile.ZipFile(flat) as archive:
        assert json.loads(archive.read("metadata.json"))["author"] == "A. Person"
    _, program = load_artifact(made("pte"))
    (text,) = Runtime.get().load_program(program).load_method("metadata").execute([])
    assert json.loads(text)["author"] == "A. Person"


@pytest.mark.parametrize("format_", [*EXPORTERS])
def test_text_is_read_back_as_it_was_told(made, trained, format_) -> None:
    _, path = load_artifact(made(format_))
    text = get_exporter(format_).metadata(path)
    if format_ == "ncnn":
        assert text is None
        return
    assert text["author"] == "A. Person"
    assert json.loads(text["names"]) == list(LABELS)
    assert Preprocessing.model_validate_json(text["preprocessing"]) == PREPROCESSING
    assert text["source_sha256"] == sha256_of_state(trained.model.state_dict())
    assert {"version", "license", "precision", "mean", "std", "imgsz"} <= text.keys()


@pytest.mark.parametrize("format_", RUNNING)
def test_sessions_describe_their_input_and_keep_their_answers(made, format_) -> None:
    artifact, path = load_artifact(made(format_))
    shape = artifact.input.shape
    session = runtime_for(path).load(path, RuntimeOptions(threads=1))
    try:
        (described,) = session.inputs
        assert described.shape[1:] == shape[1:]
        assert described.shape[0] in (1, None)
        assert described.dtype == "float32"
        first = session.run([np.zeros(shape, np.float32)])[0]
        kept = first.copy()
        session.run([np.ones(shape, np.float32)])
        assert np.array_equal(first, kept), "the next pass wrote over an answer"
    finally:
        session.close()


@pytest.mark.parametrize("format_", RUNNING)
def test_every_format_is_timed(made, format_) -> None:
    artifact, path = load_artifact(made(format_))
    runtime = runtime_for(path).name
    case = Case(
        name=format_, path=path, runtime=runtime, format=format_, precision="fp32", input_shape=artifact.input.shape
    )
    (measured,) = measure_cases([case], launches=1, min_blocks=3, block_ms=2.0, max_s_per_case=2.0)
    assert measured.latency_ms > 0
    assert (measured.runtime, measured.file_bytes) == (runtime, artifact.file_bytes)


def test_openvino_takes_any_batch_where_that_was_asked_for(trained, tmp_path) -> None:
    artifact = export(
        trained.model,
        tmp_path / "out",
        format="openvino",
        preprocessing=PREPROCESSING,
        model_name="tiny",
        real=trained.real,
        dynamic_batch=True,
    )
    assert artifact.input.shape == ("batch", 3, SIZE, SIZE)
    assert artifact.verification.batch_sizes == (1, 2, 7)


def test_a_fixed_batch_is_filled_up(trained, tmp_path) -> None:
    artifact = export(
        trained.model, tmp_path / "out", format="tflite", preprocessing=PREPROCESSING, batch=4, real=trained.real
    )
    assert artifact.input.shape == (4, SIZE, SIZE, 3)
    assert artifact.verification.passed
    with pytest.raises(ConfigError, match="tflite files have a fixed batch; give batch, not dynamic_batch"):
        export(trained.model, tmp_path / "two", format="tflite", preprocessing=PREPROCESSING, dynamic_batch=True)


def test_a_core_ml_package_is_compared_by_structure(trained, tmp_path, capsys) -> None:
    artifact = export(
        trained.model,
        tmp_path / "out",
        format="mlpackage",
        preprocessing=PREPROCESSING,
        labels=LABELS,
        model_name="tiny",
    )
    assert artifact.files == ("tiny.mlpackage",)
    proof = artifact.verification
    assert proof.kind == "structure"
    assert {check.name for check in proof.checks} >= {"zeros", "far", "noise", "pixel", "picture"}
    assert proof.relative_diff < proof.tolerance == 1e-4
    render_artifact(artifact, tmp_path / "out", as_json=False)
    shown = capsys.readouterr().out
    assert "picture" in shown
    assert "its operators, computed by torch, answer like the model" in shown
    _, path = load_artifact(tmp_path / "out")
    assert load_artifact(path)[0] == artifact
    assert format_of(path) == "mlpackage"
    with pytest.raises(MissingExtraError, match="cannot be run here: runs on macOS alone"):
        get_runtime("coreml").load(path, RuntimeOptions())
    other = fuse(trained.model)
    program = capture(other, torch.zeros(1, 3, SIZE, SIZE))
    assert verify_structure(path, program, preprocessing=PREPROCESSING, num_classes=10).passed
    record = verify_structure(path, program, preprocessing=PREPROCESSING, num_classes=11)
    assert record.reason == "input and output are [(3, 16, 16), (10,)]; must be [(3, 16, 16), (11,)]"
    with torch.no_grad():
        other.down.conv.weight[0, 0] += 0.1
    program = capture(other, torch.zeros(1, 3, SIZE, SIZE))
    record = verify_structure(path, program, preprocessing=PREPROCESSING, num_classes=10)
    assert record.reason == "the weights down.conv.weight are not in the package as they are in the model"
    weights = next(path.rglob("weight.bin"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(InputError, match="was altered after its export"):
        load_artifact(path)


@pytest.mark.parametrize("format_", RUNNING)
@pytest.mark.parametrize("kept", [0.5, 600])
def test_cut_files_are_refused_in_one_line(made, tmp_path, format_, kept) -> None:
    _, path = load_artifact(made(format_))
    for file in files_of(path):
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content)
    cut = tmp_path / path.name
    content = cut.read_bytes()
    cut.write_bytes(content[: int(len(content) * kept) if kept < 1 else kept])
    with pytest.raises(InputError) as caught:
        get_runtime(get_exporter(format_).runtime).load(cut, RuntimeOptions())
    assert "cannot be loaded by" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_", ["openvino", "ncnn"])
def test_weights_that_are_missing_or_cut_are_refused(made, tmp_path, format_) -> None:
    _, path = load_artifact(made(format_))
    (tmp_path / path.name).write_bytes(path.read_bytes())
    runtime = get_runtime(get_exporter(format_).runtime)
    with pytest.raises(InputError, match=r"keeps its weights in 'tiny\.bin', which is missing beside it"):
        runtime.load(tmp_path / path.name, RuntimeOptions())
    weights = path.with_suffix(".bin").read_bytes()
    (tmp_path / "tiny.bin").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="cannot be loaded by"):
        runtime.load(tmp_path / path.name, RuntimeOptions())


class Foreign(nn.Module):
    """Holds an operator that no phone's runtime has."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x.mean((2, 3)))


@pytest.mark.parametrize("format_", ["openvino", "tflite", "ncnn", "mlpackage"])
def test_an_operator_without_counterpart_is_named(tmp_path, format_) -> None:
    with pytest.raises(ExportError, match=r"(?i)bessel_j0"):
        export(Foreign(), tmp_path / "out", format=format_, preprocessing=PREPROCESSING)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format_", RUNNING)
def test_nothing_is_written_to_the_terminal(made, capfd, format_) -> None:
    artifact, path = load_artifact(made(format_))
    capfd.readouterr()
    session = runtime_for(path).load(path, RuntimeOptions(threads=1))
    session.run([np.zeros(artifact.input.shape, np.float32)])
    session.close()
    seen = capfd.readouterr()
    assert (seen.out, seen.err) == ("", "")


def test_missing_packages_are_named_with_what_to_install(tmp_path, monkeypatch) -> None:
    from importlib import metadata

    def version(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr("edgewise.deploy.runtimes.sdk.metadata.version", version)
    for format_ in (*RUNNING, "mlpackage"):
        extra = get_exporter(format_).runtime
        with pytest.raises(MissingExtraError, match=rf"{format_} files need .*: pip install 'edgewise\[{extra}\]'"):
            export(TinyNet(), tmp_path / "out", format=format_, preprocessing=PREPROCESSING)


def test_tables_agree() -> None:
    for exporter in EXPORTERS.values():
        assert exporter.format in get_runtime(exporter.runtime).formats
    assert {name for runtime in RUNTIMES.values() for name in runtime.formats} == EXPORTERS.keys()


def test_half_precision_of_core_ml_needs_no_pictures_to_be_judged_on(trained, tmp_path) -> None:
    artifact = export(
        trained.model,
        tmp_path / "out",
        format="coreml",
        precision="fp16",
        preprocessing=PREPROCESSING,
        model_name="tiny",
    )
    assert artifact.format == "mlpackage"
    assert artifact.verification.kind == "structure"
