"""A small learnable data set, the command line in this process, and one fitted run that the tests share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgewise.cli.main import run

COLOURS = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (210, 40, 50)}
TINY = [
    *("--width-mult", "0.1", "--img-size", "16", "--batch", "4", "--lr", "0.004", "--warmup-epochs", "1"),
    *("--mixup", "0", "--cutmix", "0", "--ema-decay", "0.5", "--seed", "1", "--workers", "0"),
]
"""Settings with which the colours are learnt in six epochs."""


def paint(folder: Path, colour: Sequence[int], count: int, seed: int = 0) -> None:
    """Write noisy pictures of one colour, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng([seed, *colour])
    for index in range(count):
        pixels = np.clip(np.array(colour) + generator.normal(0, 25, (24, 24, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index:02d}.png")


def paint_classes(root: Path, count: int = 5, names: Sequence[str] = tuple(COLOURS)) -> Path:
    for name, colour in zip(names, COLOURS.values(), strict=False):
        paint(root / name, colour, count)
    return root


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error_line(self) -> str:
        """The one line that begins with ``error:``; it is the last."""
        lines = self.err.splitlines()
        assert sum(line.startswith("error:") for line in lines) == 1, self.err
        assert lines[-1].startswith("error: "), self.err
        assert "Traceback" not in self.err
        return lines[-1]


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line, run in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        return Outcome(code, *capsys.readouterr())

    return call


@dataclass(frozen=True)
class Fitted:
    data: Path
    run: Path

    def export(self, name: str) -> Path:
        return self.run / "export" / name

    @property
    def onnx(self) -> Path:
        return next(self.export("onnx-fp32").glob("*.onnx"))


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """One `edgewise fit`, whole, with real exports and a real measurement."""
    root = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWISE_CACHE", str(root / "cache"))
        data = paint_classes(root / "my photos", 20)
        arguments = ["fit", str(data), "--model", "mobilenetv4_conv_small", "--epochs", "6", "--quiet", *TINY]
        assert run([*arguments, "--project", str(root / "runs")]) == 0
    return Fitted(data, root / "runs" / "fit")
