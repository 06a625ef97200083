"""`edgewise train --qat`: from a finished run to one whose int8 file keeps its accuracy."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from tests.e2e.conftest import paint_classes

from edgewise.train.config import load_config


@pytest.fixture
def begun(cli, fitted):
    """A run of one epoch with int8 simulated, from `fitted`'s."""
    data = paint_classes(Path("photos"), 6)
    found = cli("train", data, "--qat", fitted.run, "--epochs", "1", "--workers", "0")
    assert found.code == 0, found.err
    return Path("runs/train"), data, found


def test_it_goes_on_with_the_run_s_settings_and_gives_an_ordinary_run(cli, begun, fitted) -> None:
    run, data, found = begun
    assert "its int8 form simulated" in found.err
    assert "Best validation top-1, int8 simulated," in found.out
    before, after = load_config(fitted.run / "config.yaml"), load_config(run / "config.yaml")
    assert (after.qat, after.recipe, after.epochs) == (True, "quantisation_aware", 1)
    assert after.lr == pytest.approx(before.lr / 10)
    assert (after.ema_decay, after.weight_decay, after.drop_rate, after.drop_path_rate) == (None, 0, 0, 0)
    assert (after.augment, after.batch, after.preprocessing) == (before.augment, before.batch, before.preprocessing)
    sha256 = hashlib.sha256((fitted.run / "weights/best.safetensors").read_bytes()).hexdigest()
    assert json.loads((run / "job.json").read_text())["initial_weights"]["sha256"] == sha256
    assert "int8 simulated" in (run / "report.html").read_text()
    with safe_open(run / "weights/best.safetensors", "pt") as file:
        assert file.metadata()["edgewise.form"] == "fused"
    shutil.copy(run / "weights/best.safetensors", "alone.safetensors")
    for source in (run, "alone.safetensors"):
        answers = cli("val", source, data, "--json")
        assert answers.code == 0, answers.err
        assert answers.json()["top1"] == 1.0


def test_its_int8_file_is_made_as_any_other(cli, begun, fitted) -> None:
    run, data, _ = begun
    exported = cli("export", run, "--precision", "int8", "--data", fitted.data, "--out", "out", "--json")
    assert exported.code == 0, exported.err
    assert exported.json()["verification"]["passed"]
    again = cli("train", data, "--qat", run / "weights/best.safetensors", "--epochs", "1", "--name", "again")
    assert again.code == 0, again.err
    config = load_config(Path("runs/again/config.yaml"))
    assert config.lr == load_config(run / "config.yaml").lr, "a second time goes on at the rate of the first"


def test_resuming_needs_no_checkpoint_and_takes_none(cli, begun) -> None:
    run, _, _ = begun
    shutil.rmtree(run / "weights/last")
    (run / "weights/best.safetensors").unlink()
    refused = cli("train", "--resume", run, "--qat", "x")
    assert refused.code == 2
    assert "a run that is resumed knows its checkpoint; give --resume without --qat" in refused.error_line
    assert cli("train", "--resume", run).code == 0
    assert (run / "weights/best.safetensors").exists()


def test_fused_weights_are_not_taken_for_those_of_the_training_form(cli, begun) -> None:
    run, data, _ = begun
    found = cli("train", data, "--model", f"local-dir:{run}", "--epochs", "1")
    assert found.code == 2
    assert "is of a fused network, the model is in training form" in found.error_line


REFUSED = [
    ("photos --qat none.safetensors", "'none.safetensors' is neither a run's folder nor a weights file"),
    ("photos --qat photos", "'photos' holds no run"),
    ("photos --qat timm:resnet18", "is timm's and has no rows, which quantisation-aware training needs"),
    ("photos --qat mobilenetv1_025", "no weights were published for 'mobilenetv1_025'"),
    ("photos --qat {run} --model mobilenetv1_100 --width-mult 0.5", "leave out --model, --width-mult"),
    ("photos --qat {run} --pretrained", "leave out --pretrained"),
    ("photos --qat {run} --amp bf16 --drop-rate 0.1", "leave out --drop-rate, --amp"),
    ("photos --qat {run} --recipe x --img-size 32", "leave out --recipe, --img-size"),
    ("others --qat {run}", "knows other classes than the data set: missing ['red'], new ['violet']; train on"),
]


@pytest.mark.parametrize(("line", "says"), REFUSED, ids=[line for line, _ in REFUSED])
def test_refused(cli, fitted, line, says) -> None:
    paint_classes(Path("photos"), 2)
    paint_classes(Path("others"), 2, names=("blue", "green", "violet"))
    before = sorted(Path().rglob("*"))
    found = cli("train", *line.format(run=fitted.run).split(" "))
    assert found.code == 2, found.err
    assert says in found.error_line
    assert sorted(Path().rglob("*")) == before


def test_without_names_of_classes_their_number_must_fit(cli, fitted, monkeypatch) -> None:
    """Published weights do not always say what their classes are called."""
    import edgewise

    net = edgewise.create_model("mobilenetv4_conv_small_050")
    net.weights_sha256, net.weights_source = "0" * 64, "somebody's"
    monkeypatch.setattr("edgewise.pipeline.qat.create_model", lambda *_, **__: net)
    found = cli("train", paint_classes(Path("photos"), 2), "--qat", "mobilenetv4_conv_small_050.e3000_r224_in1k")
    assert found.code == 2
    assert "knows 1000 classes, the data set has 3; train it on these classes first" in found.error_line
