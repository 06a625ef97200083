"""Answers for pictures: files, folders and globs."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgewise.data.decode import decode
from edgewise.data.normalise import normalise
from edgewise.data.transforms import EvalTransform
from edgewise.deploy.answers import artifact_answer
from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.registry import runtime_for
from edgewise.errors import DataError, ImageError, InputError, OutputError, shown
from edgewise.pipeline.trained import load_trained
from edgewise.records.artifact import Preprocessing
from edgewise.records.environment import usable_cores
from edgewise.report.sheet import draw_top5
from edgewise.train.run_folder import new_run_folder

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
"""Of the files that are taken from a folder; a file named by itself is judged by content."""
SAFE = re.compile(r"[^A-Za-z0-9._-]")
MODEL_SUFFIXES = frozenset(exporter.suffix for exporter in EXPORTERS.values())

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Normalised images (N, C, S, S) to logits (N, num_classes)."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One picture's answer."""

    path: Path
    top: tuple[tuple[str, float], ...]
    """Labels with probabilities 0-1, most likely first; empty when the picture could not be read."""
    error: str = ""
    drawn: Path | None = None


class Predictor:
    """A run's model, or an exported file with its artifact.json, behind one call."""

    def __init__(self, labels: Sequence[str], preprocessing: Preprocessing, run: Run) -> None:
        self.labels = tuple(labels)
        self.preprocessing = preprocessing
        self._run = run
        self._transform = EvalTransform(preprocessing)

    def answer(self, content: bytes, top: int = 5) -> tuple[tuple[str, float], ...]:
        """Return the most likely labels with probabilities.

        Raises:
            ImageError: the bytes are no image that can be read.
        """
        images = normalise(self._transform(content)[None], self.preprocessing.mean, self.preprocessing.std)
        logits = torch.from_numpy(self._run(np.ascontiguousarray(images.numpy())))[0]
        best = logits.softmax(dim=0).topk(min(top, len(logits)))
        names = self.labels or tuple(str(index) for index in range(len(logits)))
        return tuple((names[i], value) for i, value in zip(best.indices.tolist(), best.values.tolist(), strict=True))


def open_predictor(source: str) -> Predictor:
    """Open a run's folder, a weights file of a run, or an exported file.

    Raises:
        InputError: ``source`` is none of them, or is damaged.
    """
    path = Path(source)
    if is_exported(path):
        artifact, file = load_artifact(path)
        session = runtime_for(file).load(file, RuntimeOptions(threads=usable_cores()))
        return Predictor(artifact.labels, artifact.preprocessing, artifact_answer(session, artifact, (1,)))
    trained = load_trained(source)
    return Predictor(trained.labels, trained.preprocessing, trained.logits)


def is_exported(path: Path) -> bool:
    """Return whether ``path`` looks like an exported file or its folder."""
    return path.suffix in MODEL_SUFFIXES or (path / "artifact.json").is_file()


def predict(source: str, patterns: Sequence[str], *, top: int = 5, out_dir: Path | None = None) -> Iterator[Answer]:
    """Answer every picture that ``patterns`` name, in order.

    Args:
        source: a run's folder, a weights file of a run, or an exported file.
        patterns: files, folders (their pictures, not below) and globs.
        top: how many labels.
        out_dir: where to write each picture with its answers drawn on it; None draws nothing.

    Raises:
        DataError: a pattern names nothing.
        InputError: ``source`` cannot be used, or ``top`` is below 1.
    """
    if top < 1:
        raise InputError(f"top is {top}; must be 1 or more")
    paths = find_pictures(patterns)
    predictor = open_predictor(source)
    if out_dir is not None:
        _check_free(out_dir)
    return (_answer(predictor, path, top, out_dir, number) for number, path in enumerate(paths))


def find_pictures(patterns: Sequence[str]) -> list[Path]:
    """Return the files that ``patterns`` name, each once, in order.

    Raises:
        DataError: a pattern names nothing.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        elif path.is_file():
            files = [path]
        else:
            files = sorted(p for p in map(Path, glob.glob(pattern, recursive=True)) if p.is_file())  # noqa: PTH207
        if not files:
            raise DataError(f"{shown(pattern)} names no picture; give files, folders that hold some, or globs")
        found |= dict.fromkeys(files)
    return list(found)


def _answer(predictor: Predictor, path: Path, top: int, out_dir: Path | None, number: int) -> Answer:
    try:
        content = path.read_bytes()
        answers = predictor.answer(content, top)
        drawn = None
        if out_dir is not None:
            _make(out_dir)
            drawn = out_dir / f"{number:04d}_{SAFE.sub('_', path.stem)[:60]}.png"
            draw_top5(decode(content), answers, drawn)
    except ImageError as error:
        return Answer(path=path, top=(), error=str(error))
    except OSError as error:
        return Answer(path=path, top=(), error=f"cannot be read: {error.strerror}")
    return Answer(path=path, top=answers, drawn=drawn)


def numbered_folder() -> Path:
    """Return the first of ``runs/predict``, ``runs/predict2``, … that does not exist yet."""
    return new_run_folder(Path("runs"), "predict").path


def _check_free(out_dir: Path) -> None:
    """Refuse a folder that holds files, before any work; it is made with the first picture."""
    if out_dir.exists() and not out_dir.is_dir():
        raise OutputError(f"{shown(out_dir)} is a file; give a new folder with --out")
    if out_dir.is_dir() and any(out_dir.iterdir()):
        raise OutputError(f"{shown(out_dir)} holds files already; give a new folder with --out")


def _make(out_dir: Path) -> None:
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(out_dir)} cannot be written: {error.strerror}; give another with --out") from error
