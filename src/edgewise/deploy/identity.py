"""The fingerprint of a model on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path


def model_sha256(folder: Path, names: Sequence[str]) -> str:
    """Return the sha256 of a model: of its file, or, where it is several or a folder, of their names and sha256 in turn.

    Args:
        folder: in which they lie.
        names: of the files or folders, the one to open first.
    """
    files = [folder / name for name in names]
    if len(files) == 1 and files[0].is_file():
        return file_sha256(files[0])
    joined = hashlib.sha256()
    for each in (inner for path in files for inner in ([path] if path.is_file() else sorted(path.rglob("*")))):
        if each.is_file():
            joined.update(f"{each.relative_to(folder).as_posix()} {file_sha256(each)}\n".encode())
    return joined.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of the file at ``path``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
