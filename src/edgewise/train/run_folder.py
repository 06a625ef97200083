"""The layout of a run's folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from edgewise.errors import OutputError, shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where each file of a run lies; nothing is made until `create` is called."""

    path: Path

    @property
    def config(self) -> Path:
        """Return the path of the resolved settings."""
        return self.path / "config.yaml"

    @property
    def job(self) -> Path:
        """Return the path of the record of what was asked for."""
        return self.path / "job.json"

    @property
    def model_spec(self) -> Path:
        """Return the path of the network's rows."""
        return self.path / "model.json"

    @property
    def data_summary(self) -> Path:
        """Return the path of the record of the data set."""
        return self.path / "data.json"

    @property
    def labels(self) -> Path:
        """Return the path of the class names, one a line, in the order of the outputs."""
        return self.path / "labels.txt"

    @property
    def results_csv(self) -> Path:
        """Return the path of the table with a row per validation."""
        return self.path / "results.csv"

    @property
    def weights(self) -> Path:
        """Return the folder of all weights."""
        return self.path / "weights"

    @property
    def best(self) -> Path:
        """Return the path of the best weights so far."""
        return self.weights / "best.safetensors"

    @property
    def initial(self) -> Path:
        """Return the path of the weights that training starts from; there are none where they are fresh."""
        return self.weights / "initial.safetensors"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the resumable states."""
        return self.weights / "last"

    @property
    def train_record(self) -> Path:
        """Return the path of the finished training's record."""
        return self.path / "train.json"

    @property
    def eval_record(self) -> Path:
        """Return the path of the best weights' answers on the validation set."""
        return self.path / "eval.json"

    @property
    def run_record(self) -> Path:
        """Return the path of everything that the report shows."""
        return self.path / "run.json"

    @property
    def report(self) -> Path:
        """Return the path of the report."""
        return self.path / "report.html"

    @property
    def exports(self) -> Path:
        """Return the folder of exported files."""
        return self.path / "export"

    def remove_leftovers(self) -> None:
        """Remove the half-written files of a killed process; call it under the run's lock."""
        for path in self.path.glob(".*.tmp"):
            path.unlink(missing_ok=True)

    def create(self) -> None:
        """Make the folder.

        Raises:
            OutputError: it cannot be made, or holds anything already.
        """
        try:
            self.weights.mkdir(parents=True, exist_ok=False)
        except FileExistsError as error:
            raise OutputError(f"{shown(self.path)} holds another run; choose a new name or resume it") from error
        except OSError as error:
            raise OutputError(
                f"{shown(self.path)} cannot be written: {error.strerror}; choose a folder that can, with --project"
            ) from error


def new_run_folder(project: Path, name: str) -> RunFolder:
    """Return the folder for a new run: ``project/name``, or with a number behind it where that exists. Nothing is made.

    Raises:
        OutputError: the name is not a plain one, or ``project`` cannot hold runs.
    """
    if not NAME.fullmatch(name):
        raise OutputError(f"run name {shown(name)} is not accepted; use letters, digits, '.', '_' and '-', at most 100")
    _check_project(project)
    number = 1
    while True:
        folder = RunFolder(project / (name if number == 1 else f"{name}{number}"))
        if not folder.path.exists():
            return folder
        number += 1


def _check_project(project: Path) -> None:
    """Refuse a project folder that is a run itself, or cannot be written, before any work is done."""
    if RunFolder(project).config.exists():
        raise OutputError(f"{shown(project)} holds a run itself; give --project the folder that is to hold all runs")
    absolute = project.absolute()
    nearest = next(each for each in (absolute, *absolute.parents) if each.exists() or each.is_symlink())
    if not nearest.is_dir():
        raise OutputError(f"{shown(project)} cannot hold runs: {shown(nearest)} is a file; give --project a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(
            f"{shown(project)} cannot hold runs: {shown(nearest)} is read-only; give --project another folder"
        )


def open_run_folder(path: Path) -> RunFolder:
    """Return an existing run's folder.

    Raises:
        OutputError: there is no run at ``path``.
    """
    folder = RunFolder(path)
    missing = [
        each.name for each in (folder.config, folder.job, folder.model_spec, folder.data_summary) if not each.is_file()
    ]
    if missing:
        raise OutputError(f"{shown(path)} holds no run ({', '.join(missing)} missing); give a folder under runs/")
    return folder
