"""From typed words to settings, data sets and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewise.errors import ConfigError, OutputError
from edgewise.pipeline.datasets import absolute, open_named
from edgewise.pipeline.settings import default_workers, parse_duration, resolve_config
from edgewise.train.run_folder import new_run_folder


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("1.5h", 5400), ("45", 45), ("0.5s", 0.5), ("1e2", 100)]
)
def test_durations(text, seconds) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "m", "-5m", "0", "nan", "inf", "soon", "5d", "1h30m", "9e9h"])
def test_no_durations(text) -> None:
    with pytest.raises(ConfigError, match=r"accepted: 90s, 20m, 1\.5h, above 0"):
        parse_duration(text)


def test_digits_is_a_data_set() -> None:
    digits = open_named("digits")
    assert len(digits.train) + len(digits.val) == 1797
    assert digits.labels == tuple("0123456789")
    assert absolute("digits") == "digits"


def test_a_folder_called_digits_is_reached_by_its_path(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    with pytest.raises(Exception, match="'digits' holds no images"):
        open_named("./digits")
    assert absolute("./digits") == str(tmp_path / "digits")


def test_what_was_given_goes_over_the_recipe() -> None:
    given = {"lr": 0.5, "hflip": 0.0, "mixup": 0.25, "batch": None}
    config = resolve_config(
        "mobilenetv4_conv_small", img_size=48, num_images=100, recipe=None, overrides={**given, "device": "cpu"}
    )
    plain = resolve_config(
        "mobilenetv4_conv_small", img_size=48, num_images=100, recipe=None, overrides={"device": "cpu"}
    )
    assert (config.lr, config.augment.hflip, config.augment.mixup, config.preprocessing.img_size) == (0.5, 0, 0.25, 48)
    assert (config.batch, config.epochs) == (plain.batch, plain.epochs)


def test_with_a_time_budget_the_clock_decides_unless_epochs_are_given() -> None:
    def epochs(**overrides: float) -> int:
        return resolve_config(
            "mobilenetv4_conv_small", img_size=32, num_images=100, recipe=None, overrides=overrides
        ).epochs

    assert epochs(time_budget_s=60.0) == 100_000
    assert epochs(time_budget_s=60.0, epochs=7) == 7


def test_run_names_are_numbered(tmp_path) -> None:
    for name in ("fit", "fit2", "fit3"):
        folder = new_run_folder(tmp_path / "runs", "fit")
        assert folder.path == tmp_path / "runs" / name
        folder.create()
    assert new_run_folder(tmp_path / "runs", "other").path.name == "other"


@pytest.mark.parametrize("name", ["../../x", "", "x" * 200, "a/b", ".hidden", "-x", "a b", "a\n"])
def test_hostile_run_names(tmp_path, name) -> None:
    with pytest.raises(OutputError, match="is not accepted; use letters"):
        new_run_folder(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_project_should_be(tmp_path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(OutputError, match=r"cannot hold runs: .* is a file"):
        new_run_folder(tmp_path / "runs", "fit")
    assert (tmp_path / "runs").read_text() == "x"


def test_a_project_that_cannot_be_written(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere, so the answer is played
    with pytest.raises(OutputError, match="is read-only; give --project another folder"):
        new_run_folder(tmp_path / "runs", "fit")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("device", "num_cores", "workers"), [("cpu", 1, 0), ("cpu", 2, 0), ("cpu", 8, 2), ("cuda:0", 16, 8), ("mps", 1, 1)]
)
def test_loading_processes_follow_from_the_machine(device, num_cores, workers) -> None:
    assert default_workers(device, num_cores) == workers
