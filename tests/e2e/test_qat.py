"""`edgewise train --qat`: from a finished run to one whose int8 file keeps its accuracy."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from tests.e2e.conftest import TINY, paint_classes

from edgewise.cli.main import run as command_line
from edgewise.models.families.mobilenetv1 import wider
from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec
from edgewise.spec.text import dump_spec
from edgewise.train.config import load_config

SPEC = ModelSpec(
    name="tiny_v1",
    stem=ConvSpec(out_chs=8, stride=2),
    stages=((wider(16), wider(16, stride=2)),),
    head=PoolHeadSpec(),
    img_size=16,
)


@pytest.fixture(scope="module")
def before(tmp_path_factory) -> Path:
    """A finished run in float."""
    root = tmp_path_factory.mktemp("before")
    (root / "tiny.yaml").write_text(dump_spec(SPEC))
    data = paint_classes(root / "photos", 15)
    arguments = ["train", data, "--model", root / "tiny.yaml", *TINY[2:], "--epochs", "4", "--project", root, "--quiet"]
    assert command_line([str(each) for each in arguments]) == 0
    return root / "train"


@pytest.fixture
def begun(cli, before):
    """A run of one epoch with int8 simulated, from the weights of `before`."""
    data = paint_classes(Path("photos"), 15)
    found = cli("train", data, "--qat", before, "--epochs", "1")
    assert found.code == 0, found.err
    return Path("runs/train"), data, found


def test_it_goes_on_with_the_run_s_settings_and_gives_an_ordinary_run(cli, begun, before) -> None:
    run, data, found = begun
    assert "its int8 form simulated" in found.err
    assert "Best validation top-1, int8 simulated," in found.out
    then, after = load_config(before / "config.yaml"), load_config(run / "config.yaml")
    assert (after.qat, after.recipe, after.epochs) == (True, "quantisation_aware", 1)
    assert after.lr == pytest.approx(then.lr / 10)
    assert (after.ema_decay, after.weight_decay, after.drop_rate, after.drop_path_rate) == (None, 0, 0, 0)
    assert (after.augment, after.batch, after.preprocessing) == (then.augment, then.batch, then.preprocessing)
    sha256 = hashlib.sha256((before / "weights/best.safetensors").read_bytes()).hexdigest()
    assert json.loads((run / "job.json").read_text())["initial_weights"]["sha256"] == sha256
    assert "int8 simulated" in (run / "report.html").read_text()
    with safe_open(run / "weights/best.safetensors", "pt") as file:
        assert file.metadata()["edgewise.form"] == "fused"
    shutil.copy(run / "weights/best.safetensors", "alone.safetensors")
    answers = [cli("val", source, data, "--json") for source in (run, "alone.safetensors")]
    assert [each.code for each in answers] == [0, 0]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["loss"] < 1.09, "no better than guessing among three classes"


def test_its_int8_file_is_made_as_any_other(cli, begun) -> None:
    run, data, _ = begun
    exported = cli("export", run, "--precision", "int8", "--out", "out", "--json")
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
def test_refused(cli, before, line, says) -> None:
    paint_classes(Path("photos"), 2)
    paint_classes(Path("others"), 2, names=("blue", "green", "violet"))
    was = sorted(Path().rglob("*"))
    found = cli("train", *line.format(run=before).split(" "))
    assert found.code == 2, found.err
    assert says in found.error_line
    assert sorted(Path().rglob("*")) == was


def test_without_names_of_classes_their_number_must_fit(cli, monkeypatch) -> None:
    """Published weights do not always say what their classes are called."""
    import edgewise

    net = edgewise.create_model("mobilenetv4_conv_small_050")
    net.weights_sha256, net.weights_source = "0" * 64, "somebody's"
    monkeypatch.setattr("edgewise.pipeline.qat.create_model", lambda *_, **__: net)
    found = cli("train", paint_classes(Path("photos"), 2), "--qat", "mobilenetv4_conv_small_050.e3000_r224_in1k")
    assert found.code == 2
    assert "knows 1000 classes, the data set has 3; train it on these classes first" in found.error_line
