"""The exporters' table, and conversion as a process of its own."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export_nets import PREPROCESSING, TinyNet
from torch import nn

from edgewise.deploy.artifact_folder import fill
from edgewise.deploy.convert import convert
from edgewise.deploy.converter import Converter
from edgewise.deploy.evaluate import agreement, evaluate_file
from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.exporters.registry import EXPORTERS, get_exporter
from edgewise.deploy.inputs import edge_inputs
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.errors import ExportError, InputError, UnknownNameError
from edgewise.graph.capture import capture
from edgewise.records.artifact import Preprocessing


def program(*, dynamic_batch: bool) -> torch.export.ExportedProgram:
    return capture(TinyNet().eval(), torch.zeros(2 if dynamic_batch else 1, 3, 16, 16), dynamic_batch=dynamic_batch)


def test_table_is_consistent():
    for name, exporter in EXPORTERS.items():
        assert exporter.format == name
        assert exporter.suffix == {"openvino": ".xml", "ncnn": ".param"}.get(name, f".{name}")
        assert get_exporter(exporter.runtime) is exporter
        assert exporter.precisions[0] == "fp32"
        assert name in get_runtime(exporter.runtime).formats


def test_the_page_lists_every_format_with_its_precisions():
    page = (Path(__file__).parents[3] / "docs" / "deploying.md").read_text(encoding="utf-8")
    first_part = page.partition("\n## ")[0]
    table = [line.strip("|").split("|") for line in first_part.splitlines() if line.startswith("| `")]
    _, *rows = [[cell.strip() for cell in row] for row in table]
    assert {row[0].split("`")[1]: tuple(row[3].split(", ")) for row in rows} == {
        name: exporter.precisions for name, exporter in EXPORTERS.items()
    }


def test_unknown_format_is_suggested():
    with pytest.raises(UnknownNameError, match="unknown format 'tflit'; did you mean 'tflite'") as caught:
        get_exporter("tflit")
    assert str(caught.value).endswith("accepted: mlpackage, ncnn, onnx, openvino, pt2, pte, tflite")


def test_fixed_batch_onnx_has_one_fixed_shape(tmp_path, capfd):
    get_exporter("onnx").export(program(dynamic_batch=False), tmp_path / "m.onnx", ExportOptions(metadata={"a": "é"}))
    model = onnx.load(tmp_path / "m.onnx")
    assert [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 16, 16]
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("a", "é")]
    assert capfd.readouterr().out == ""


def test_pt2_carries_its_metadata(tmp_path):
    get_exporter("pt2").export(program(dynamic_batch=True), tmp_path / "m.pt2", ExportOptions(metadata={"a": "é"}))
    with zipfile.ZipFile(tmp_path / "m.pt2") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("metadata.json")]
        assert json.loads(archive.read(name)) == {"a": "é"}


AWKWARD = {
    "author": "Ann <a@b.c> & 'co' \"x\"",
    "note": " two\nlines\t ",
    "empty": "",
    "number": "007",
    "flag": "true",
    "é 🐈": "[1, 2]",
}


@pytest.mark.parametrize("format_", [name for name in EXPORTERS if name != "ncnn"])
def test_awkward_texts_come_back_as_they_were(tmp_path, format_):
    path = tmp_path / f"m{EXPORTERS[format_].suffix}"
    # in a process of its own, as always: litert-torch brings JAX, whose threads forbid the forks of later tests
    convert(program(dynamic_batch=False), path, format=format_, metadata=AWKWARD)
    with quiet():
        found = EXPORTERS[format_].metadata(path)
    assert {key: found.get(key) for key in AWKWARD} == AWKWARD


class Unconvertible(nn.Module):
    """An operator that ONNX has no counterpart for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(x.mean(1))


def test_failed_conversion_says_why_in_one_line(tmp_path, capfd):
    example = capture(Unconvertible(), torch.zeros(1, 3, 16, 16))
    with pytest.raises(ExportError, match=r"^conversion to onnx fp32 failed: ") as raised:
        convert(example, tmp_path / "m.onnx", format="onnx")
    assert "svd" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_job_of_ours_that_fails_ends_with_its_message(tmp_path, monkeypatch):
    torch.export.save(program(dynamic_batch=False), tmp_path / "program.pt2")
    job = {"task": "convert", "format": "onxx", "precision": "fp32", "metadata": {}, "calibrated": False}
    job |= {"keep_float": [], "work": None, "path": str(tmp_path / "m"), "program": str(tmp_path / "program.pt2")}
    (tmp_path / "job.json").write_text(json.dumps(job))
    with (
        Converter() as converter,
        pytest.raises(ExportError, match=r"^the task failed: unknown format 'onxx'; did you mean 'onnx'"),
    ):
        converter.run(tmp_path / "job.json", task="the task", timeout_s=60)


def test_edge_inputs_are_what_they_say():
    kinds = edge_inputs(PREPROCESSING)
    assert {name: len(images) for name, images in kinds.items()} == {
        "zeros": 1, "ones": 1, "saturated": 5, "far": 4, "noise": 16, "pixel": 8, "picture": 3,
    }  # fmt: skip
    assert all(images.dtype == np.float32 and images.shape[1:] == (3, 16, 16) for images in kinds.values())
    mean, std = np.array(PREPROCESSING.mean), np.array(PREPROCESSING.std)
    white, black, red, *_ = kinds["saturated"]
    np.testing.assert_allclose(white[:, 3, 4], (1 - mean) / std, rtol=1e-6)
    np.testing.assert_allclose(black[:, 3, 4], -mean / std, rtol=1e-6)
    np.testing.assert_allclose(red[:, 3, 4], ([1, 0, 0] - mean) / std, rtol=1e-6)
    np.testing.assert_allclose(kinds["far"][0], white * 10, rtol=1e-6)
    np.testing.assert_allclose(kinds["far"][1:], kinds["noise"][:3] * 10, rtol=1e-6)
    assert "picture" not in edge_inputs(Preprocessing(img_size=16, mean=(0.5,) * 4, std=(0.5,) * 4))
    assert [np.count_nonzero(image[0]) for image in kinds["pixel"]] == [1] * 8
    again = edge_inputs(PREPROCESSING)
    assert all(np.array_equal(kinds[name], again[name]) for name in kinds)


def test_labels_with_control_characters_stay_one_line_each(fp32, tmp_path):
    artifact = fp32[0].model_copy(update={"labels": ("é\nb", "plain", "katt 🐈")})
    fill(tmp_path, artifact)
    assert (tmp_path / "labels.txt").read_text(encoding="utf-8") == "é\\nb\nplain\nkatt 🐈\n"


def test_evaluate_file_counts_right_answers(fp32, trained):
    path: Path = fp32[1] / "tiny.onnx"
    answers = evaluate_file(path, trained.labelled(), runtime="onnxruntime", threads=1, batch_size=5)
    images = np.concatenate([images for images, _ in trained.labelled()])
    with torch.no_grad():
        expected = trained.model(torch.from_numpy(images)).argmax(1).numpy()
    np.testing.assert_array_equal(answers.predicted, expected)
    np.testing.assert_array_equal(answers.targets, trained.targets)
    assert answers.top1 == (expected == trained.targets).mean()
    assert answers.logits is None


def test_evaluate_file_needs_images(fp32):
    with pytest.raises(InputError, match="there are no labelled images to evaluate the file on"):
        evaluate_file(fp32[1] / "tiny.onnx", [], runtime="onnxruntime")


def test_agreement():
    assert agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.75
    with pytest.raises(InputError, match=r"answers of shapes \(1,\) and \(2,\) cannot be compared"):
        agreement(np.array([1]), np.array([1, 2]))
