"""Training that starts from weights: better at once, and everything made of it says which file that was."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tests.e2e.conftest import TINY, paint_classes

import edgewise

SHORT = [*TINY, "--epochs", "1", "--quiet"]


@pytest.fixture
def begun(cli, fitted):
    """A run of one epoch that starts from the weights of `fitted`'s; with the folder of its pictures."""
    data = paint_classes(Path("photos"), 6)
    found = cli("train", data, *SHORT, "--weights", fitted.run, "--json")
    assert found.code == 0, found.err
    return Path("runs/train"), data, found


def test_a_run_starts_where_another_ended(cli, begun, fitted) -> None:
    _run, data, found = begun
    fresh = cli("train", data, *SHORT, "--name", "fresh", "--json")
    assert fresh.code == 0, fresh.err
    assert found.json()["best_top1"] == 1.0
    assert fresh.json()["best_top1"] < 1.0
    assert not (Path("runs/fresh/weights/initial.safetensors")).exists()
    assert json.loads(Path("runs/fresh/job.json").read_text())["initial_weights"] is None


def test_whatever_is_made_of_it_names_the_file(cli, begun, fitted) -> None:
    run, data, _ = begun
    sha256 = hashlib.sha256((fitted.run / "weights/best.safetensors").read_bytes()).hexdigest()
    origin = {"source": fitted.run.name, "sha256": sha256, "notes": []}
    assert json.loads((run / "job.json").read_text())["initial_weights"] == origin
    assert json.loads((run / "run.json").read_text())["initial_weights"] == origin
    with safe_open(run / "weights/best.safetensors", "pt") as file:
        assert json.loads(file.metadata()["edgewise.initial_weights"]) == origin
    assert sha256 in (run / "report.html").read_text()
    exported = cli("export", run, "--out", "out", "--data", data, "--json")
    assert exported.code == 0, exported.err
    assert exported.json()["weights_file_sha256"] == sha256
    assert exported.json()["weights_source"] == fitted.run.name


def test_resuming_needs_the_file_no_more(cli, fitted) -> None:
    data = paint_classes(Path("photos"), 6)
    shutil.copytree(fitted.run, "before")
    assert cli("train", data, *SHORT, "--weights", "before", "--name", "whole").code == 0
    assert cli("train", data, *SHORT, "--weights", "before", "--name", "broken").code == 0
    shutil.rmtree("before")
    shutil.rmtree("runs/broken/weights/last")  # as after a kill before the first checkpoint
    Path("runs/broken/weights/best.safetensors").unlink()
    found = cli("train", "--resume", "runs/broken")
    assert found.code == 0, found.err
    with (
        safe_open("runs/whole/weights/best.safetensors", "pt") as one,
        safe_open("runs/broken/weights/best.safetensors", "pt") as other,
    ):
        assert all(torch.equal(one.get_tensor(key), other.get_tensor(key)) for key in one.keys())  # noqa: SIM118


def test_published_weights_bring_their_preprocessing(cli, monkeypatch) -> None:
    """By tag, over a hub that is a folder here; other classes get a fresh head."""
    data = paint_classes(Path("photos"), 2)
    name = "mobilenetv4_conv_small_050.e3000_r224_in1k"
    save_file(edgewise.create_model(name).state_dict(), "net.safetensors")
    asked = []

    def hub_file(hub_id, names, source, *, hint="") -> Path:
        asked.append(hub_id)
        return Path("net.safetensors")

    monkeypatch.setattr("edgewise.models.weight_source.hub_file", hub_file)
    arguments = ["--epochs", "1", "--batch", "6", "--img-size", "32", "--ema-decay", "0.5", "--seed", "1"]
    found = cli("train", data, *arguments, "--model", name)
    assert found.code == 0, found.err
    assert set(asked) == {f"timm/{name}"}
    assert f"Starting from the weights hf-hub:timm/{name}" in found.err
    assert "new head: 2 tensors of the file left out" in found.err
    config = edgewise_config(Path("runs/train"))
    assert config["recipe"] == "fine_tune"
    assert config["weights"] == f"hf-hub:timm/{name}"
    published = edgewise.create_model(name).preprocessing
    assert config["preprocessing"]["crop_pct"] == published.crop_pct
    assert config["preprocessing"]["img_size"] == 32
    plain = cli("train", data, *arguments, "--model", name.partition(".")[0], "--pretrained", "--name", "plain")
    assert plain.code == 0, plain.err
    assert edgewise_config(Path("runs/plain"))["weights"] == config["weights"]


def edgewise_config(run: Path) -> dict[str, object]:
    import yaml

    return yaml.safe_load((run / "config.yaml").read_text())


def test_other_settings_of_the_batch_norms_are_adopted(cli) -> None:
    """torchvision trains MobileNetV3 with eps 0.001; without it the answers shift."""
    from torchvision.models import mobilenet_v3_small

    data = paint_classes(Path("photos"), 2)
    torch.save(mobilenet_v3_small().state_dict(), "theirs.pth")
    arguments = ["--epochs", "1", "--batch", "6", "--img-size", "32", "--seed", "1"]
    found = cli("train", data, *arguments, "--model", "mobilenetv3_small_100", "--weights", "theirs.pth")
    assert found.code == 0, found.err
    assert "batch norm eps 1e-05 -> 0.001" in found.err
    assert json.loads(Path("runs/train/model.json").read_text())["norm"]["eps"] == 0.001


REFUSED = [
    ("--weights none.pth", "'none.pth' cannot be read: No such file or directory"),
    ("--weights photos", "'photos' is a folder without weights/best.safetensors"),
    ("--weights x.pth --pretrained", "weights and pretrained both say where to start; give one of them"),
    ("--model mobilenetv1_025 --pretrained", "no weights were published for 'mobilenetv1_025'"),
    ("--model mobileformer_52m --pretrained", "are not on the hub: get"),
    ("--weights {fitted} --width-mult 0.2", "does not fit the model, nothing was"),
    ("--model mobilenetv4_conv_small --img-size 32 --weights {fitted}", "does not fit the model, nothing was"),
]


@pytest.mark.parametrize(("line", "says"), REFUSED, ids=[line for line, _ in REFUSED])
def test_refused(cli, fitted, line, says) -> None:
    data = paint_classes(Path("photos"), 2)
    before = sorted(Path().rglob("*"))
    found = cli("train", data, *line.format(fitted=fitted.run).split(" "))
    assert found.code == 2, found.err
    assert says in found.error_line
    assert sorted(Path().rglob("*")) == before


def test_weights_for_candidates_come_by_their_tags(cli) -> None:
    data = paint_classes(Path("photos"), 2)
    both = cli("fit", data, "--max-ms", "5", "--weights", "x.pth")
    assert both.code == 2
    assert "weights are of one model" in both.error_line
    none = cli("fit", data, "--max-ms", "5", "--models", "mobileformer_*", "--pretrained")
    assert none.code == 2
    assert "the weights of none of the candidates are on the hub" in none.error_line


def test_a_run_as_the_model_brings_rows_weights_and_preprocessing(cli, fitted) -> None:
    data = paint_classes(Path("photos"), 6)
    arguments = ["--epochs", "1", "--batch", "4", "--lr", "0.004", "--ema-decay", "0.5", "--seed", "1", "--json"]
    found = cli("train", data, "--model", f"local-dir:{fitted.run}", *arguments)
    assert found.code == 0, found.err
    assert found.json()["best_top1"] == 1.0
    assert Path("runs/train/model.json").read_bytes() == (fitted.run / "model.json").read_bytes()
    assert edgewise_config(Path("runs/train"))["preprocessing"]["img_size"] == 16
