"""`edgewise device`: what is listed, shown, refused and written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgewise.bench import device
from edgewise.cli.main import run
from edgewise.cost.device_files import device_names, find_device, this_cpu, this_cpu_path

FAKE = Path(__file__).parents[1] / "bench" / "fake_device_worker.py"


@pytest.fixture
def fake(monkeypatch) -> None:
    """A machine without a clock, with two cores."""
    monkeypatch.setattr(device, "DEVICE_COMMAND", (sys.executable, str(FAKE), "good"))
    monkeypatch.setattr(device, "usable_cores", lambda: 2)


@pytest.fixture(autouse=True)
def wide(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def test_all_devices_are_listed_with_what_is_known(capsys) -> None:
    assert run(["device", "list"]) == 0
    shown = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in shown.out.splitlines() if line.strip()}
    assert set(device_names()) < set(rows)
    assert rows["pixel4_edgetpu"][1:] == ["npu", *["–"] * 6]
    assert "this-cpu was not measured yet; run: edgewise device measure" in shown.err
    assert run(["device", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == device_names()
    assert listed[0]["peaks"][0] == find_device(device_names()[0]).peaks[0].model_dump()


def test_a_device_is_shown_with_its_sources(capsys) -> None:
    assert run(["device", "show", "s23_cpu_big"]) == 0
    out = capsys.readouterr().out
    for text in (
        "204.8 G",
        "64.0 G",
        "0.800",
        "fitted to 17 published",
        "35.5 MACs per byte",
        "confidence: low",
        "NanoReview",
    ):
        assert text in out
    assert run(["device", "show", "pixel4_edgetpu"]) == 0
    assert "no peak and no bandwidth is known" in capsys.readouterr().out


def test_what_json_shows_is_a_device_file(capsys, tmp_path) -> None:
    assert run(["device", "show", "rpi5_cpu4", "--json"]) == 0
    (tmp_path / "mine.json").write_text(capsys.readouterr().out)
    assert find_device(str(tmp_path / "mine.json")) == find_device("rpi5_cpu4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "pixel6_cpu"], "unknown device 'pixel6_cpu'; did you mean 'pixel6_cpu_big'"),
        (["show", "this-cpu"], "this-cpu was not measured yet; run: edgewise device measure"),
        (["show", "missing.yaml"], "'missing.yaml' cannot be read: No such file"),
        (["measure", "--out", "board.txt"], "'board.txt' is no name for a device profile; accepted: files that end in"),
    ],
)
def test_bad_input_is_one_line(arguments, message, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["device", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {message}")
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_measuring_keeps_the_profile_where_the_bench_looks_for_it(fake, capsys) -> None:
    assert run(["device", "measure"]) == 0
    shown = capsys.readouterr()
    for text in ("numpy fast", "ort whole", "49.0 G", "numpy dot", "reference kernel: 0.200 ms", "measured 20"):
        assert text in shown.out
    assert f"kept in {this_cpu_path()}" in shown.err
    assert this_cpu().peak("int8", 2) is not None
    assert run(["device", "list"]) == 0
    first = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("this-cpu"))
    assert first.split()[-1] == "measured"


def test_a_profile_can_be_written_elsewhere(fake, capsys, tmp_path) -> None:
    path = tmp_path / "board.yaml"
    assert run(["device", "measure", "--out", str(path), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["peaks"][0]["kernel"] == "numpy fast"
    assert find_device(str(path)).peak("fp32", 1).kernel == "numpy fast"
    assert not this_cpu_path().exists()
