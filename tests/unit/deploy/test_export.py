"""Export: what lands in the folder, what is inside the file, and what stays when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from export_nets import LABELS, PREPROCESSING, TinyNet

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.deploy import export as export_module
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.export import export
from edgewise.deploy.identity import file_sha256
from edgewise.errors import ExportError, InputError, OutputError, UnknownNameError, VerificationError
from edgewise.records.artifact import Artifact, Preprocessing


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def broken_convert(monkeypatch):
    """Conversion that writes the file of another model, in this process."""
    from edgewise.deploy.exporters.protocol import ExportOptions
    from edgewise.deploy.exporters.registry import get_exporter

    def convert(program, path, **job):
        wrong = TinyNet().eval()
        example = torch.zeros(2, 3, 16, 16)
        get_exporter(job["format"]).export(
            export_module.capture(wrong, example, dynamic_batch=True), path, ExportOptions(metadata=job["metadata"])
        )

    monkeypatch.setattr(export_module, "convert", convert)


def test_folder_holds_the_whole_artifact(fp32, trained):
    artifact, folder = fp32
    assert sorted(p.name for p in folder.iterdir()) == [
        "answer.mjs",
        "artifact.json",
        "labels.txt",
        "predict.cpp",
        "predict.html",
        "predict.mjs",
        "predict.py",
        "preprocess.mjs",
        "preprocessing.json",
        "tiny.onnx",
    ]
    assert sorted(p.name for p in folder.parent.iterdir()) == ["out"]
    assert Artifact.load(folder / "artifact.json") == artifact
    assert (folder / "labels.txt").read_text().splitlines() == list(LABELS)
    assert Preprocessing.load(folder / "preprocessing.json") == PREPROCESSING
    assert artifact.source_sha256 == sha256_of_state(trained.model.state_dict())
    assert artifact.sha256 == file_sha256(folder / "tiny.onnx")
    assert artifact.file_bytes == (folder / "tiny.onnx").stat().st_size
    assert artifact.input.shape == ("batch", 3, 16, 16)
    assert (artifact.num_classes, artifact.format, artifact.precision) == (10, "onnx", "fp32")
    assert folder.stat().st_mode & 0o777 == 0o755


def test_verification_is_on_record(fp32):
    record = fp32[0].verification
    assert record is not None
    assert record.passed
    assert record.batch_sizes == (1, 2, 7)
    assert {check.name: check.num_inputs for check in record.checks} == {
        "real": 96, "zeros": 1, "ones": 1, "saturated": 5, "far": 4, "noise": 16, "pixel": 8, "picture": 3,
    }  # fmt: skip
    assert all(check.max_abs_diff <= 1e-4 * check.max_abs_logit for check in record.checks)


def test_metadata_travels_inside_the_onnx_file(fp32, trained):
    model = onnx.load(fp32[1] / "tiny.onnx")
    inside = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(inside["names"]) == list(LABELS)
    assert Preprocessing.model_validate_json(inside["preprocessing"]) == PREPROCESSING
    assert json.loads(inside["imgsz"]) == [16, 16]
    assert json.loads(inside["mean"]) == list(PREPROCESSING.mean)
    assert json.loads(inside["std"]) == list(PREPROCESSING.std)
    assert inside["source_sha256"] == sha256_of_state(trained.model.state_dict())
    assert inside["author"] == "A. Person"
    assert {"task", "license", "version", "model", "precision"} <= set(inside)


def test_onnx_file_holds_no_source_lines_or_paths_of_this_machine(fp32):
    content = (fp32[1] / "tiny.onnx").read_bytes()
    for trace in (b"export_nets.py", b"site-packages", b"stack_trace", b"pkg.torch"):
        assert trace not in content


def test_onnx_graph_is_folded(fp32):
    operators = {node.op_type for node in onnx.load(fp32[1] / "tiny.onnx").graph.node}
    assert "BatchNormalization" not in operators


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_onnx_takes_any_batch(fp32, trained, batch):
    session = ort.InferenceSession(fp32[1] / "tiny.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("images", ["batch", 3, 16, 16])]
    assert [o.name for o in session.get_outputs()] == ["logits"]
    images = trained.real[:batch]
    with torch.no_grad():
        expected = trained.model(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-4 * np.abs(expected).max())


def test_pt2_with_fixed_batch_is_quiet(trained, tmp_path, capfd):
    model = TinyNet().train()
    artifact = export(
        model, tmp_path / "out", format="pt2", preprocessing=PREPROCESSING, real=trained.real[:8], dynamic_batch=False
    )
    assert artifact.input.shape == (1, 3, 16, 16)
    assert artifact.files == ("model.pt2",)
    assert artifact.verification is not None
    assert artifact.verification.batch_sizes == (1,)
    assert artifact.verification.runtime == "torch"
    assert capfd.readouterr() == ("", "")
    assert model.training, "the model is left as it was"
    assert load_artifact(tmp_path / "out")[1] == tmp_path / "out" / "model.pt2"


def test_failed_verification_leaves_nothing(trained, tmp_path, broken_convert):
    with pytest.raises(VerificationError, match=r"model as onnx fp32 fails verification: real: logits differ by up to"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, real=trained.real)
    assert list(tmp_path.iterdir()) == []


def test_failed_verification_keeps_the_older_artifact(fp32, trained, tmp_path, broken_convert):
    import shutil

    shutil.copytree(fp32[1], tmp_path / "out")
    before = files_under(tmp_path)
    with pytest.raises(VerificationError):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, model_name="tiny", real=trained.real)
    assert files_under(tmp_path) == before


def test_unverified_export_replaces_an_older_one_whole(fp32, trained, tmp_path, broken_convert):
    import shutil

    shutil.copytree(fp32[1], tmp_path / "out")
    artifact = export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, model_name="tiny", verify=False)
    assert artifact.verification is None
    assert load_artifact(tmp_path / "out")[0] == artifact
    assert (tmp_path / "out" / "labels.txt").read_text() == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_failed_conversion_is_one_line_and_leaves_nothing(trained, tmp_path, monkeypatch):
    import tempfile

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with pytest.raises(ExportError, match=r"conversion to onnx fp32 took longer than 0.2 s and was stopped"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, timeout_s=0.2)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"format": "onxx"},
            UnknownNameError,
            r"unknown format 'onxx'; did you mean 'onnx'\? accepted: mlpackage, ncnn, onnx, openvino",
        ),
        ({"precision": "int9"}, UnknownNameError, r"unknown onnx precision 'int9'; did you mean 'int8'\?"),
        ({"format": "pt2", "precision": "int8"}, UnknownNameError, r"unknown pt2 precision 'int8'; accepted: fp32"),
        ({"model_name": "../x"}, InputError, r"model name '\.\./x' cannot name a file"),
        ({"labels": ("a", "b")}, InputError, r"2 labels were given for 10 logits"),
        ({"labels": ("ok", "bad\udcff")}, InputError, r"labels\[1\] is 'bad\\udcff', which is no valid text"),
        ({"precision": "int8"}, InputError, r"int8 needs at least 32 different real images to calibrate on; none"),
        (
            {"preprocessing": Preprocessing(img_size=16, mean=(0.5,), std=(0.5,))},
            InputError,
            r"the model takes 3 channels, preprocessing has 1 means",
        ),
    ],
)
def test_wrong_settings_are_refused_before_any_work(trained, tmp_path, monkeypatch, settings, error, message):
    monkeypatch.setattr(export_module, "convert", lambda *_, **__: pytest.fail("it went to work"))
    with pytest.raises(error, match=message):
        export(trained.model, tmp_path / "out", **{"preprocessing": PREPROCESSING, **settings})
    assert list(tmp_path.iterdir()) == []


def test_int8_needs_images_to_be_judged_on(trained, tmp_path):
    with pytest.raises(InputError, match="int8 is judged on labelled images, or else on real ones"):
        export(
            trained.model,
            tmp_path / "out",
            precision="int8",
            preprocessing=PREPROCESSING,
            calibration=trained.calibration,
        )


def _no_parent(folder: Path) -> Path:
    return folder / "absent" / "out"


def _file_as_parent(folder: Path) -> Path:
    (folder / "file").write_text("x")
    return folder / "file" / "out"


def _file_in_the_way(folder: Path) -> Path:
    (folder / "out").write_text("x")
    return folder / "out"


def _other_content(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("years of work")
    return folder / "out"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_no_parent, "absent' is no folder; make it first"),
        (_file_as_parent, "file' is no folder; make it first"),
        (_file_in_the_way, "out' is no folder; give the name of a new folder"),
        (_other_content, "out' holds files and is no earlier export"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_unusable_output_is_refused_before_any_work(trained, tmp_path, monkeypatch, make, message, force):
    monkeypatch.setattr(export_module, "convert", lambda *_, **__: pytest.fail("it went to work"))
    out_dir = make(tmp_path)
    before = files_under(tmp_path)
    with pytest.raises(OutputError, match=message):
        export(trained.model, out_dir, preprocessing=PREPROCESSING, force=force)
    assert files_under(tmp_path) == before


def test_unwritable_parent_is_refused(trained, tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("edgewise.deploy.artifact_folder.tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError, match="out' cannot be written: Permission denied"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING)


def test_another_models_artifact_needs_force(fp32, trained, tmp_path, broken_convert):
    import shutil

    shutil.copytree(fp32[1], tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'notes.txt' too, which is not of the export; force replaces it"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, model_name="tiny", verify=False)
    (tmp_path / "out" / "notes.txt").unlink()
    with pytest.raises(OutputError, match="holds an export of 'tiny'; force replaces it"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, model_name="other", verify=False)
    export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, model_name="other", verify=False, force=True)
    assert load_artifact(tmp_path / "out")[0].model == "other"


@pytest.fixture
def rolled_convert(monkeypatch):
    """Conversion of a model whose answers are moved on by one class, in this process."""
    from edgewise.deploy.exporters.protocol import ExportOptions
    from edgewise.deploy.exporters.registry import get_exporter

    def convert(program, path, **job):
        with torch.no_grad():
            for name in ("classifier.weight", "classifier.bias"):
                program.state_dict[name].copy_(program.state_dict[name].roll(1, 0))
        get_exporter(job["format"]).export(program, path, ExportOptions(metadata=job["metadata"]))

    monkeypatch.setattr(export_module, "convert", convert)


def test_a_file_beyond_the_limit_is_kept_on_demand_and_marked(trained, tmp_path, rolled_convert):
    given = {"precision": "int8", "preprocessing": PREPROCESSING, "calibration": trained.calibration}
    with pytest.raises(VerificationError, match="top-1 falls from 9"):
        export(trained.model, tmp_path / "out", labelled=trained.labelled, **given)
    with pytest.raises(VerificationError, match="top-1 falls from 9"):
        export(trained.model, tmp_path / "out", labelled=trained.labelled, force=True, **given)
    assert list(tmp_path.iterdir()) == []
    export(trained.model, tmp_path / "out", labelled=trained.labelled, allow_drop=True, **given)
    proof = load_artifact(tmp_path / "out")[0].verification
    assert (proof.passed, proof.forced) == (False, True)
    assert proof.reason.startswith("top-1 falls from 9")
    with pytest.raises(VerificationError, match="real: top-1 equal on"):
        export(trained.model, tmp_path / "two", real=trained.real, allow_drop=True, **given)


def test_a_broken_file_is_never_kept(trained, tmp_path, broken_convert):
    with pytest.raises(VerificationError, match="real: logits differ by up to"):
        export(trained.model, tmp_path / "out", preprocessing=PREPROCESSING, real=trained.real, allow_drop=True)
    assert list(tmp_path.iterdir()) == []
