"""Reading an artifact back: what is missing, altered or newer is said in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgewise.deploy.artifact_file import load_artifact
from edgewise.errors import InputError


@pytest.fixture
def folder(fp32, tmp_path) -> Path:
    shutil.copytree(fp32[1], tmp_path / "out")
    return tmp_path / "out"


def edit(folder: Path, **fields: object) -> None:
    record = json.loads((folder / "artifact.json").read_text())
    (folder / "artifact.json").write_text(json.dumps(record | fields))


def test_round_trip_from_folder_record_and_file(folder, fp32):
    for given in (folder, folder / "artifact.json", folder / "tiny.onnx"):
        assert load_artifact(given) == (fp32[0], folder / "tiny.onnx")


def _flip(folder: Path) -> None:
    content = bytearray((folder / "tiny.onnx").read_bytes())
    content[-100] ^= 1
    (folder / "tiny.onnx").write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, r"out' does not exist; give a folder that `edgewise export` wrote"),
        (lambda f: (f / "artifact.json").unlink(), "out' holds no artifact.json; give a folder"),
        (lambda f: (f / "artifact.json").write_text("{"), "artifact.json' cannot be read as JSON; export again"),
        (lambda f: (f / "artifact.json").write_text("[]"), "artifact.json' is no Artifact"),
        (lambda f: (f / "tiny.onnx").unlink(), "tiny.onnx' is missing; export again"),
        (_flip, r"tiny.onnx' was altered after its export \(sha256 differs from artifact.json\)"),
        (lambda f: edit(f, sha256="0" * 64), "was altered after its export"),
        (lambda f: edit(f, energy_mj=3), "has the unknown field 'energy_mj': it comes from a newer Edgewise; update"),
        (lambda f: edit(f, num_classes="many"), "artifact.json' is no Artifact: num_classes"),
        (lambda f: edit(f, files=[]), "names no file"),
        (lambda f: edit(f, files=["../out/tiny.onnx"]), "names the file '../out/tiny.onnx', which is not beside it"),
        (lambda f: edit(f, files=["..\\\\tiny.onnx"]), "which is not beside it; refused"),
        (lambda f: edit(f, files=[".."]), "which is not beside it; refused"),
    ],
)
def test_spoilt_artifacts_are_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message) as raised:
        load_artifact(folder)
    assert "\n" not in str(raised.value)


def test_other_file_of_the_folder_is_refused(folder):
    with pytest.raises(InputError, match=r"labels.txt' is not the file of its artifact.json, which is 'tiny.onnx'"):
        load_artifact(folder / "labels.txt")
