"""The folder that an artifact lives in: it appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewise.deploy.snippet import program_names, programs
from edgewise.errors import InputError, OutputError, shown
from edgewise.records.artifact import Artifact
from edgewise.records.files import fsync_folder

RECORD = "artifact.json"
LABELS = "labels.txt"
PREPROCESSING = "preprocessing.json"


def check_target(out_dir: Path, *, model_name: str, force: bool) -> None:
    """Refuse an output folder whose replacement would destroy something.

    Args:
        out_dir: it may be absent, empty, or hold an artifact of the same model and nothing else.
        model_name: of the artifact to come.
        force: accept an artifact of another model, or one with files of somebody else beside it.

    Raises:
        OutputError: it is something else, or its parent is no folder.
    """
    if not out_dir.absolute().parent.is_dir():
        raise OutputError(f"{shown(out_dir)} cannot be made: {shown(out_dir.parent)} is no folder; make it first")
    if out_dir.is_symlink() or (out_dir.exists() and not out_dir.is_dir()):
        raise OutputError(f"{shown(out_dir)} is no folder; give the name of a new folder or of an earlier export")
    names = _names(out_dir)
    if not names:
        return
    try:
        earlier = Artifact.load(out_dir / RECORD)
    except InputError as error:
        raise OutputError(
            f"{shown(out_dir)} holds files and is no earlier export; give the name of a new folder"
        ) from error
    foreign = sorted(names - {*earlier.files, RECORD, LABELS, PREPROCESSING, *program_names(earlier.format)})
    if foreign and not force:
        raise OutputError(
            f"{shown(out_dir)} holds {shown(foreign[0])} too, which is not of the export; force replaces it"
        )
    if earlier.model != model_name and not force:
        raise OutputError(f"{shown(out_dir)} holds an export of {shown(earlier.model)}; force replaces it")


@contextmanager
def staged(out_dir: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``out_dir`` that takes its place at the end; on an error it goes again.

    Raises:
        OutputError: the parent cannot be written, or the disk is full.
    """
    target = out_dir.absolute()
    try:
        staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".new"))
    except OSError as error:
        raise OutputError(f"{shown(out_dir)} cannot be written: {error.strerror}") from error
    try:
        yield staging
        try:
            _settle(staging)
            _replace(staging, target)
        except OSError as error:
            raise OutputError(f"{shown(out_dir)} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def fill(folder: Path, artifact: Artifact) -> None:
    """Write ``artifact`` into ``folder``, its labels and preprocessing as files of their own, and programs that use it.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    lines = "".join(f"{_one_line(label)}\n" for label in artifact.labels)
    try:
        (folder / LABELS).write_text(lines, encoding="utf-8")
        artifact.preprocessing.save(folder / PREPROCESSING)
        for name, text in programs(artifact.format).items():
            (folder / name).write_text(text, encoding="utf-8")
        artifact.save(folder / RECORD)
    except OSError as error:
        raise OutputError(f"{shown(folder)} cannot be written: {error.strerror}") from error


def _one_line(label: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in label)


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise OutputError(f"{shown(folder)} cannot be read: {error.strerror}") from error


def _settle(folder: Path) -> None:
    """Make ``folder`` readable for all and durable."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if path.is_dir():
            fsync_folder(path)
            continue
        with path.open("rb") as file:
            os.fsync(file.fileno())
    fsync_folder(folder)


def _replace(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.replace(target)
    else:
        older = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".old"))
        target.replace(older)
        try:
            staging.replace(target)
        except OSError:
            older.replace(target)
            raise
        shutil.rmtree(older, ignore_errors=True)
    fsync_folder(target.parent)
