"""What goes along with a file for other languages: which files, and that they read what artifact.json holds."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.snippet import MORE_PROGRAMS, program_names, programs
from edgewise.records.artifact import Artifact, InputSpec, Preprocessing

FIELDS = {*Artifact.model_fields, *InputSpec.model_fields, *Preprocessing.model_fields}


@pytest.mark.parametrize("format_", EXPORTERS)
def test_each_format_has_its_programs(format_):
    texts = programs(format_)
    assert tuple(texts) == program_names(format_)
    assert all(text.strip() and "edgewise" not in text.lower() for text in texts.values())


def test_formats_of_other_languages():
    assert {name: {each.rpartition(".")[2] for each in files} for name, files in MORE_PROGRAMS.items()} == {
        "onnx": {"mjs", "html", "cpp"}, "tflite": {"kt"}, "mlpackage": {"swift"},
    }  # fmt: skip
    assert MORE_PROGRAMS.keys() <= EXPORTERS.keys()
    assert program_names("no such format") == ("predict.py",)


def test_the_page_lists_every_program():
    page = (Path(__file__).parents[3] / "docs" / "deploying.md").read_text(encoding="utf-8")
    part = page.partition("## Programs beside the file")[2].partition("\n## ")[0]
    assert {*re.findall(r"`([\w.]+\.(?:py|mjs|html|cpp|kt|swift))`", part)} >= {
        name for format_ in MORE_PROGRAMS for name in program_names(format_) if name != "answer.mjs"
    }


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def test_kotlin_asks_artifact_json_for_what_it_has():
    asked = re.findall(r'get(?:String|Int|Double|JSONObject|JSONArray)\("(\w+)"\)', programs("tflite")["Predict.kt"])
    assert {"img_size", "crop_pct", "interpolation", "mean", "std", "labels", "num_classes", "shape"} <= {*asked}
    assert {*asked} <= FIELDS


def test_swift_asks_artifact_json_for_what_it_has():
    texts = programs("mlpackage")
    decodable = re.findall(r"struct (Artifact|Recipe): Decodable \{(.*?)\n\}", "".join(texts.values()), re.DOTALL)
    asked = {struct: {snake(name) for name in re.findall(r"let (\w+): ", body)} for struct, body in decodable}
    assert asked["Recipe"] == {*Preprocessing.model_fields}
    assert {"files", "labels", "num_classes", "preprocessing", "shape"} <= asked["Artifact"] <= FIELDS


@pytest.mark.parametrize("name", MORE_PROGRAMS["mlpackage"])
def test_swift_can_be_parsed(name):
    """No Swift compiler comes with the other packages: its grammar alone is checked."""
    if os.environ.get("CI") != "true":
        pytest.importorskip("tree_sitter_swift", reason="make setup installs tree-sitter-swift")
    import tree_sitter
    import tree_sitter_swift

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    tree = parser.parse(programs("mlpackage")[name].encode())
    assert not tree.root_node.has_error
    assert tree.root_node.named_child_count > 5
