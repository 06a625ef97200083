"""Models by name, from files and from timm through the whole command line, in miniature."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import onnx
import pytest
from tests.e2e.conftest import paint_classes

from edgewise.models.catalogue import CATALOGUE, FAMILIES
from edgewise.models.facts.costs import COSTS
from edgewise.models.pretrained import list_pretrained
from edgewise.models.spec_file import read_spec_file
from edgewise.report.formatting import format_bytes

SMALL = "mobilenetv4_conv_small"
TINY_NET = """
img_size: 32
stem: {kind: conv, out_chs: 8, stride: 2}
stages:
- - {kind: uib, out_chs: 16, stride: 2, start_kernel: 3}
  - {kind: ir, out_chs: 16, expand_ratio: 2, se: {}}
head: {kind: conv, hidden_chs: 32}
"""
TINY_BRANCHES = """
img_size: 32
stem: {kind: mobileone, out_chs: 8, stride: 2, num_branches: 2}
stages: [[{kind: repvgg, out_chs: 16, stride: 2}, {kind: repvit}]]
head: {kind: norm_linear}
"""
TINY_TOKENS = """
img_size: 32
stem: {kind: conv, out_chs: 8, stride: 2}
tokens: {num_tokens: 2, token_dim: 16}
stages: [[{kind: former_down, out_chs: 16, mid_chs: 16, second_mid_chs: 16}]]
head: {kind: token, conv_chs: 32, hidden_chs: 16}
"""
TIMMS = "timm:mobilenetv3_small_050"


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_list(cli) -> None:
    found = cli("list")
    lines = found.out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = [line.split()[0] for line in lines[2:] if line.strip()]
    assert sorted(shown) == sorted([*CATALOGUE, *FAMILIES])
    assert "mobileone_s0                      224   5.29 M   2.08 M  275.1 M  71.4 %     2" in lines
    assert "fused: parameters as deployed" in found.err
    assert cli("list", "*medium*", "--family", "mobilenetv4").out.count("medium") == sum(
        "medium" in n for n in CATALOGUE
    )


def test_list_as_json(cli) -> None:
    rows = cli("list", "--json").json()
    assert {row["name"] for row in rows} == set(CATALOGUE)
    assert [tag for row in rows for tag in row["weights"]] != []
    assert sorted(tag for row in rows for tag in row["weights"]) == sorted(list_pretrained())
    (row,) = (row for row in rows if row["name"] == "repvgg_a0")
    entry = CATALOGUE["repvgg_a0"]
    assert {
        name: row[name] for name in ("params", "params_fused", "macs", "macs_fused", "top1", "family", "source")
    } == {
        "params": entry.params,
        "params_fused": entry.params_fused,
        "macs": entry.macs,
        "macs_fused": entry.macs_fused,
        "top1": entry.top1,
        "family": "repvgg",
        "source": entry.source,
    }
    cost = COSTS["repvgg_a0"]
    assert {name: row[name] for name in asdict(cost)} == asdict(cost)


def test_info_of_a_model(cli) -> None:
    found = cli("info", "repvgg_a0")
    assert max(map(len, found.out.splitlines())) <= 80
    for text in (
        "RepVGG-A0; family repvgg",
        "docs/models/repvgg.md",
        "published top-1 72.4 % at 224 px",
        ".rvgg_in1k",
    ):
        assert text in found.out
    entry = CATALOGUE["repvgg_a0"]
    for count in (entry.params, entry.params_fused, entry.macs, entry.macs_fused):
        assert f"{count:,}" in found.out
    cost = cli("info", "repvgg_a0", "--json", "--img-size", 64).json()
    assert (cost["params"], cost["params_fused"], cost["img_size"]) == (entry.params, entry.params_fused, 64)
    assert cost["macs_fused"] < cost["macs"]
    assert cost["unknown"] == []
    assert [tag["license"] for tag in cost["weights"]] == ["mit"] * 2


def test_info_of_a_set_of_weights(cli) -> None:
    found = cli("info", f"{SMALL}.e3600_r256_in1k")
    assert "at 256 px, batch 1" in found.out
    assert ".e1200_r224_in1k" not in found.out
    assert "mean 0.5 0.5 0.5, std 0.5 0.5 0.5; from timm/mobilenetv4_conv_small.e3600_r256_in1k" in found.out


def test_info_row_by_row(cli) -> None:
    report = cli("info", SMALL, "--img-size", 64, "--json").json()["deployed"]
    stages = cli("info", SMALL, "--img-size", 64).out
    assert [line for line in stages.splitlines() if line.startswith("blocks.2 ")]
    assert format_bytes(report["peak_activation_bytes"]) in stages
    blocks = cli("info", SMALL, "--img-size", 64, "--blocks").out
    assert "UIB" in blocks.replace("\n", "")
    layers = cli("info", SMALL, "--img-size", 64, "--layers").out
    kinds = [line.split()[1] for line in layers.splitlines() if len(line.split()) > 5 and "x" in line.split()[2]]
    assert [kind for kind in kinds if kind in ("conv", "depthwise", "pointwise")] == [
        kernel["kind"] for kernel in report["kernels"] if kernel["kind"] in ("conv", "depthwise", "pointwise")
    ]
    assert max(map(len, (stages + blocks + layers).splitlines())) <= 80


def test_info_by_batch_dtype_and_fusion(cli) -> None:
    settings = ("--img-size", 64, "--json")
    one = cli("info", SMALL, *settings).json()["deployed"]
    other = cli("info", SMALL, *settings, "--batch", 3, "--dtype", "int8", "--fusion", "litert").json()["deployed"]
    assert (other["dtype"], other["fusion"], other["input_shape"]) == ("int8", "litert", [3, 3, 64, 64])
    assert (other["macs"], other["params"]) == (3 * one["macs"], one["params"])
    assert one["weight_bytes"] / 4 < other["weight_bytes"] < one["weight_bytes"] / 3.5  # biases stay in 32 bits
    assert "at 64 px, batch 3" in cli("info", SMALL, "--img-size", 64, "--batch", 3).out


def test_compare_cost(cli) -> None:
    found = cli("compare-cost", SMALL, TIMMS, "--img-size", 64)
    assert found.code == 0, found.err
    assert max(map(len, found.out.splitlines())) <= 80
    rows = {line.split()[0]: line.split() for line in found.out.splitlines() if line.split()}
    both = cli("compare-cost", SMALL, TIMMS, "--img-size", 64, "--json").json()
    a, b = both["models"]
    assert (a["name"], b["name"], a["input_shape"]) == (SMALL, TIMMS, [1, 3, 64, 64])
    assert both["ratios"]["macs"] == round(b["macs"] / a["macs"], 4)
    assert rows["MACs"][-1] == f"{both['ratios']['macs']:.2f}"
    assert rows["kernels"] == ["kernels", str(a["num_kernels"]), str(b["num_kernels"])]
    assert sum(kind["num_kernels"] for kind in a["kinds"]) == a["num_kernels"]
    assert sum(kind["macs"] for kind in b["kinds"]) == b["macs"]


@pytest.mark.parametrize("name", ["timm:levit_128s", TIMMS])
def test_info_of_a_model_of_timms(cli, name) -> None:
    found = cli("info", name)
    assert found.code == 0, found.err
    assert found.err == ""
    assert f"{name}  a network of timm's" in found.out
    assert "not counted" not in found.out


def test_rows_to_edit(cli) -> None:
    printed = cli("info", SMALL, "--spec").out
    Path("copy.yaml").write_text(printed)
    assert read_spec_file("copy.yaml") == CATALOGUE[SMALL].spec()
    Path("copy.yaml").write_text(printed.replace("img_size: 224", "img_size: 64").replace(f"name: {SMALL}\n", ""))
    found = cli("info", "copy.yaml")
    assert "copy.yaml  a network from rows of yours" in found.out
    assert f"{CATALOGUE[SMALL].params:,}" in found.out
    assert json.loads(cli("info", "copy.yaml", "--spec", "--json").out)["name"] == "copy"


def test_networks_of_your_own_from_file_to_file(cli) -> None:
    """Train one of each way of naming parameters, export the run; time the bare rows beside a model of timm's."""
    paint_classes(Path("photos"))
    for name, text in {"branches": TINY_BRANCHES, "tokens": TINY_TOKENS}.items():
        file = Path(f"{name}.yaml")
        file.write_text(text)
        settings = ("--epochs", 1, "--img-size", 32, "--batch", 4, "--workers", 0, "--quiet")
        trained = cli("train", "photos", "--model", file, "--name", name, *settings)
        assert trained.code == 0, trained.err
        file.unlink()  # the run keeps the rows
        saved = json.loads(Path(f"runs/{name}/model.json").read_text())
        assert (saved["name"], saved["num_classes"], saved["stem"]["stride"]) == (name, 3, 2)
        exported = cli("export", f"runs/{name}", "--out", name, "--json")
        assert exported.code == 0, exported.err
        assert exported.json()["files"] == [f"{name}.onnx"]
        graph = onnx.load(Path(name, f"{name}.onnx")).graph
        assert not any(node.op_type == "BatchNormalization" for node in graph.node)
    Path("tiny.yaml").write_text(TINY_NET)
    timed = [each["measurement"] for each in cli("bench", "tiny.yaml", TIMMS, "--img-size", 32, "--json").json()]
    assert [each["name"] for each in timed] == ["tiny.yaml", TIMMS]
    assert [each["input_shape"] for each in timed] == [[1, 3, 32, 32]] * 2


def test_a_file_that_takes_pixels(cli) -> None:
    found = cli(
        "export", SMALL, "--out", "pixels", "--img-size", 32, "--format", "pt2", "--fold-normalize", "--softmax"
    )
    assert found.code == 0, found.err
    assert "takes RGB pixels from 0 to 255 (batch, 3, 32, 32), nchw; gives probabilities; no transposes" in found.out
    refused = cli("export", SMALL, "--out", "other", "--format", "ncnn", "--layout", "nhwc")
    assert (refused.code, "ncnn files take nchw alone; layout is nhwc" in refused.err) == (2, True)
    refused = cli("export", SMALL, "--out", "other", "--format", "all", "--layout", "hwc")
    assert (refused.code, "unknown layout 'hwc'; did you mean" in refused.err) == (2, True)


def test_a_model_of_timms_can_be_exported(cli) -> None:
    found = cli("export", TIMMS, "--out", "out", "--img-size", 64, "--json")
    assert found.code == 0, found.err
    assert f"{TIMMS} has fresh random weights: the file is good for timing, not for answers" in found.err
    artifact = found.json()
    assert artifact["files"] == ["mobilenetv3_small_050.onnx"]
    assert artifact["input"]["shape"] == ["batch", 3, 64, 64]
    assert artifact["verification"]["passed"]


REFUSED = [
    ("info my.yaml", "'my.yaml': stages[0][1].expand_ratio is 0; must be > 0"),
    ("train photos --model my.yaml", "'my.yaml': stages[0][1].expand_ratio is 0; must be > 0"),
    ("fit photos --model my.yaml", "'my.yaml': stages[0][1].expand_ratio is 0; must be > 0"),
    ("bench my.yaml", "'my.yaml': stages[0][1].expand_ratio is 0; must be > 0"),
    ("export my.yaml", "'my.yaml': stages[0][1].expand_ratio is 0; must be > 0"),
    ("info none.yaml", "'none.yaml' cannot be read: No such file or directory"),
    ("info folder.yaml", "'folder.yaml' cannot be read: a folder, not a file"),
    ("info timm:fastvit_t9", "unknown timm model 'fastvit_t9'; did you mean 'fastvit_t8'?"),
    ("info timm:resnet18 --spec", "'timm:resnet18' is timm's and has no rows to print"),
    ("train photos --model timm:resnet18", "'timm:resnet18' is timm's and has no rows, which training needs"),
    ("train photos --model mobileformer_52m --width-mult 0.5", "give a smaller member of its family"),
    (f"info {SMALL} --dtype int4", "unknown dtype 'int4'; did you mean 'int8'?"),
    (f"info {SMALL} --fusion tensorrt", "unknown fusion model 'tensorrt'"),
    (f"info {SMALL} --batch 0", "batch is 0; must be 1 or more"),
    (f"info {SMALL} --layers --blocks", "--blocks and --layers were both given"),
    (f"compare-cost {SMALL} {SMALL}l", f"unknown model '{SMALL}l'; did you mean '{SMALL}'?"),
    (f"info {SMALL}.e3600", f"unknown weights '{SMALL}.e3600'"),
    (f"export {SMALL} --img-size 7", "img_size is 7; must be within 8 and 4096"),
    ("export photos --img-size 64", "img_size is for models by name; 'photos' is exported at the size of its run"),
    ("list --family mobilenetv5", "unknown family 'mobilenetv5'; did you mean 'mobilenetv4'?"),
    ("fit photos --models mobilenetv4*", "they go with max_ms, and without model"),
]


@pytest.mark.parametrize(("line", "says"), REFUSED, ids=[line for line, _ in REFUSED])
def test_refused(cli, line, says) -> None:
    paint_classes(Path("photos"), 2)
    Path("my.yaml").write_text(TINY_NET.replace("expand_ratio: 2", "expand_ratio: 0"))
    Path("folder.yaml").mkdir()
    before = sorted(Path().rglob("*"))
    found = cli(*line.split(" "))
    assert found.code == 2, found.err
    assert says in found.error_line
    assert found.out == ""
    assert sorted(Path().rglob("*")) == before
