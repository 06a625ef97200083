"""Finding and checking an exported artifact on disk."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from edgewise.deploy.artifact_folder import RECORD
from edgewise.deploy.identity import model_sha256
from edgewise.deploy.runtimes.magic import is_mlpackage
from edgewise.errors import InputError, shown
from edgewise.records.artifact import Artifact


def load_artifact(folder_or_file: Path) -> tuple[Artifact, Path]:
    """Read an artifact and check that its file is the one that was verified.

    Args:
        folder_or_file: the folder that `export` wrote, its ``artifact.json``, or its model file.

    Returns:
        The record and the path of the file to open.

    Raises:
        InputError: something is missing, altered, or written by a newer Edgewise.
    """
    if not folder_or_file.exists():
        raise InputError(f"{shown(folder_or_file)} does not exist; give a folder that `edgewise export` wrote")
    is_package = folder_or_file.is_dir() and is_mlpackage(folder_or_file)
    folder = folder_or_file if folder_or_file.is_dir() and not is_package else folder_or_file.parent
    record = folder / RECORD
    if not record.is_file():
        raise InputError(f"{shown(folder)} holds no {RECORD}; give a folder that `edgewise export` wrote")
    _check_fields(record)
    artifact = Artifact.load(record)
    path = folder / _first_file(record, artifact)
    if folder_or_file != folder and folder_or_file.name not in {RECORD, *artifact.files}:
        raise InputError(f"{shown(folder_or_file)} is not the file of its {RECORD}, which is {shown(path.name)}")
    for name in artifact.files:
        if not (folder / name).exists():
            raise InputError(f"{shown(folder / name)} is missing; export again")
    if model_sha256(folder, artifact.files) != artifact.sha256:
        raise InputError(f"{shown(path)} was altered after its export (sha256 differs from {RECORD}); export again")
    return artifact, path


def _check_fields(record: Path) -> None:
    """Refuse fields that this version does not know, so that a newer file is named as such."""
    try:
        content = json.loads(record.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{shown(record)} cannot be read as JSON; export again") from error
    unknown = sorted(set(content) - set(Artifact.model_fields)) if isinstance(content, dict) else []
    if unknown:
        raise InputError(
            f"{shown(record)} has the unknown field {shown(unknown[0])}: it comes from a newer Edgewise; update"
        )


def _first_file(record: Path, artifact: Artifact) -> str:
    if not artifact.files:
        raise InputError(f"{shown(record)} names no file; export again")
    name = artifact.files[0]
    if name in {"", ".", ".."} or name != PurePosixPath(name).name or "\\" in name:
        raise InputError(f"{shown(record)} names the file {shown(name)}, which is not beside it; refused")
    return name
