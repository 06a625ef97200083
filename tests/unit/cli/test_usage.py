"""Help, version, key=value, and what starting the command line imports."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer

from edgewise import __version__
from edgewise.cli.app import app, with_key_values
from edgewise.cli.main import main, run

COMMAND = typer.main.get_command(app)
NAMES = sorted(COMMAND.commands)  # type: ignore[attr-defined]
EXPECTED = {
    "profile",
    "ridge",
    "calibrate",
    "predict-latency",
    "latency-table",
    "quickstart",
    "fit",
    "list",
    "pareto",
    "info",
    "train",
    "val",
    "predict",
    "export",
    "bench",
    "compare",
    "compare-cost",
    "report",
    "doctor",
    "device",
}


def test_all_commands_are_there() -> None:
    assert set(NAMES) == EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_an_example(name, capsys) -> None:
    assert run([name, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert f"Example: edgewise {name}" in out


def test_help_says_where_to_start(capsys) -> None:
    assert run(["--help"]) == 0
    assert "Start with: edgewise quickstart" in capsys.readouterr().out


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"edgewise {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["fit", "x", "epochs=1", "imgsz=16"], ["fit", "x", "--epochs", "1", "--imgsz", "16"]),
        (["fit", "x", "weight_decay=0.1"], ["fit", "x", "--weight-decay", "0.1"]),
        (["fit", "x", "name=a=b"], ["fit", "x", "--name", "a=b"]),
        (["fit", "colour=red"], ["fit", "colour=red"]),
        (["predict", "run", "--", "top=3.png"], ["predict", "run", "--", "top=3.png"]),
        (["fitt", "epochs=1"], ["fitt", "epochs=1"]),
        ([], []),
    ],
)
def test_key_values(typed, meant) -> None:
    assert with_key_values(COMMAND, typed) == meant


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["list"], ["device", "list"]])
def test_light_commands_import_nothing_heavy(arguments) -> None:
    code = (
        "import sys, json\nfrom edgewise.cli.main import run\n"
        f"code = run({arguments!r})\nsys.stderr.write(json.dumps([code, sorted(sys.modules)]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    exit_code, modules = json.loads(done.stderr.splitlines()[-1])
    assert exit_code == 0
    heavy = {"torch", "torchvision", "onnx", "onnxruntime", "sklearn", "matplotlib", "PIL", "scipy", "timm"}
    assert heavy & set(modules) == set()
    if arguments == ["--help"]:
        assert "pydantic" not in modules
