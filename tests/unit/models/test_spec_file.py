"""A network of your own, from a file."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

import edgewise
from edgewise.errors import SpecError
from edgewise.models import spec_file
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.spec_file import is_spec_file, read_spec_file
from edgewise.spec.text import dump_spec, spec_as_yaml

TINY = "stem: {kind: conv, out_chs: 8}\nstages: [[{kind: uib, out_chs: 8}]]\n"


def _refused(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_spec_file(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"'{path}'")
    return text.removeprefix(f"'{path}'")


def _written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_model_comes_back_from_its_yaml_and_its_json(tmp_path: Path, name: str) -> None:
    spec = CATALOGUE[name].spec()
    text = spec_as_yaml(spec)
    assert read_spec_file(_written(tmp_path / "a.yaml", text)) == spec
    assert read_spec_file(_written(tmp_path / "a.json", dump_spec(spec))) == spec
    assert max(map(len, text.splitlines())) <= 140
    num_rows = sum(map(len, spec.stages))
    assert len(text.splitlines()) <= num_rows + len(spec.stages) + 12, "one row a line"


def test_a_spec_may_leave_out_what_has_defaults(tmp_path: Path) -> None:
    spec = read_spec_file(_written(tmp_path / "my net.yaml", TINY))
    assert (spec.name, spec.num_classes, spec.img_size, spec.act) == ("my_net", 1000, 224, "relu")
    assert read_spec_file(_written(tmp_path / "b.yml", TINY + "name: other\n")).name == "other"
    assert spec_as_yaml(spec).splitlines() == [
        "name: my_net",
        "img_size: 224",
        "stem: {kind: conv, out_chs: 8}",
        "stages:",
        "- # stage 0, to 224 x 224",
        "  - {kind: uib, out_chs: 8}",
        "head: {kind: conv}",
    ]


def test_a_spec_may_start_from_a_model(tmp_path: Path) -> None:
    base = CATALOGUE["mobilenetv4_conv_small"].spec()
    text = "base: mobilenetv4_conv_small\nchanges:\n  stages[2][3].expand_ratio: 6\n  num_classes: 10\n"
    spec = read_spec_file(_written(tmp_path / "wider.yaml", text))
    assert (spec.name, spec.num_classes, spec.stages[2][3].expand_ratio) == ("wider", 10, 6.0)
    assert spec.stages[:2] == base.stages[:2]
    assert spec.stages[2][:3] == base.stages[2][:3]
    model = edgewise.create_model(str(tmp_path / "wider.yaml"), in_chans=1)
    assert (model.num_classes, model.in_chans, model.blocks[2][3].pw_exp.conv.out_channels) == (10, 1, 6 * 96)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", " is empty; accepted: a mapping of fields, as edgewise info NAME --spec prints it"),
        ("- 1\n", " is a list; accepted: a mapping of fields, as edgewise info NAME --spec prints it"),
        ("hello\n", " is the text 'hello'; accepted: a mapping of fields, as edgewise info NAME --spec prints it"),
        ("a: [\n", " is no plain YAML: did not find expected node content (line 2)"),
        (b"\x80\x04\x95", " is not UTF-8 text (byte 0x80 at 0)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), " is not UTF-8 text (byte 0x89 at 0)"),
        ("stem: 3\nstem: 4\n", " is no plain YAML: key 'stem' is given twice (line 2)"),
        ("1: 2\n" + TINY, ": unknown field '1'; accepted: act, downsample, format_version, head, img_size, in_chans, "),
        (TINY + "format_version: 2\n", ": format_version is 2; this version of Edgewise reads 1"),
        ("base: mobilenetv4_conv_smal\n", ": base: unknown model 'mobilenetv4_conv_smal'; did you mean 'mobilenetv4_conv_small'?"),
        ("base: [1]\n", ": base: unknown model '[1]'; accepted: "),
        ("base: repvgg_a0\nact: relu6\n", ": unknown field 'act'; beside base accepted: name, changes"),
        ("base: repvgg_a0\nchange: {}\n", ": unknown field 'change'; did you mean 'changes'?"),
        ("base: repvgg_a0\nchanges: 3\n", ": changes is '3'; must be a mapping from places to values"),
        ("base: repvgg_a0\nchanges: {'stages[7]': 3}\n", ": changes: stages[7] does not exist; stages has [0] to [3]"),
        (
            "base: mobilenetv4_conv_small\nchanges: {'stages[2][3].expand_ratio': 0}\n",
            ": stages[2][3].expand_ratio is 0; must be > 0",
        ),
        (
            "stem: {kind: conv, out_chs: 65536}\nstages: [[{kind: conv, out_chs: 65536}]]\n",
            ": the network has 38,741,906,920 parameters; at most 2,000,000,000 are accepted",
        ),
    ],
)  # fmt: skip
def test_what_is_no_spec(tmp_path: Path, content: str | bytes, says: str) -> None:
    assert _refused(_written(tmp_path / "my.yaml", content)).startswith(says)


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "link.yaml").symlink_to(tmp_path / "gone.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert _refused(tmp_path / "folder.yaml") == " cannot be read: a folder, not a file"
    assert _refused(tmp_path / "link.yaml") == " cannot be read: a link to a file that is not there"
    assert _refused(tmp_path / "pipe.yaml") == " cannot be read: a named pipe, not a file"
    assert _refused(tmp_path / "none.yaml") == " cannot be read: No such file or directory"
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    assert _refused(tmp_path / "zero.json") == " cannot be read: a device, not a file"


@pytest.mark.parametrize(
    "content", ["stages: [[" + "{kind: repvit}, " * 1_000_000 + "]]", "stages: [" + "[], " * 1_000_000 + "]"]
)
def test_a_million_rows_or_stages_cost_neither_time_nor_memory(tmp_path: Path, content: str) -> None:
    path = _written(tmp_path / "big.yaml", content)
    tracemalloc.start()
    begun = time.perf_counter()
    assert _refused(path) == " is larger than 524,288 bytes; a spec is a short file, see edgewise info NAME --spec"
    assert time.perf_counter() - begun < 1
    assert tracemalloc.get_traced_memory()[1] < 4 * spec_file.MAX_BYTES
    tracemalloc.stop()


def test_which_names_are_files() -> None:
    assert all(map(is_spec_file, ("my.yaml", "a/b.YML", "x.json")))
    assert not any(
        map(is_spec_file, ("mobilenetv4_conv_small", "mobilenetv4_conv_small.e2400_r224_in1k", "x.onnx", "yaml"))
    )
