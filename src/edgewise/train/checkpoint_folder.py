"""One checkpoint on disk: a folder with tensors, state and a manifest that vouches for both.

    step-000120/
        tensors.safetensors
        state.json
        manifest.json     {"body": {format, version, step, files: {name: {bytes, sha256}}}, "sha256": of the body}

The manifest's envelope stays the same in all schema versions, so an older Edgewise can tell *newer* from *damaged*.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import ValidationError

from edgewise.errors import CheckpointError, shown
from edgewise.models.regular_file import open_regular, read_regular
from edgewise.models.safetensors_format import SafetensorsFormatError, read_safetensors
from edgewise.records.files import fsync_folder
from edgewise.records.record import Record
from edgewise.train.tensor_file import HashingFile, write_tensors

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
FORMAT: Final = "edgewise-checkpoint"
SCHEMA_VERSION = 1
TENSORS = "tensors.safetensors"
STATE = "state.json"
MANIFEST = "manifest.json"
READ_BYTES = 4 * 2**20


class FileSum(Record):
    """What one file of a checkpoint must look like."""

    bytes: int
    sha256: str


class Manifest(Record):
    """The body of a manifest."""

    format: Literal["edgewise-checkpoint"] = FORMAT
    version: int = SCHEMA_VERSION
    step: int
    files: dict[str, FileSum]


class DamagedError(CheckpointError):
    """What lies on disk is not what was saved; the text says where."""


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on from a step.

    Attributes:
        step: optimiser steps done.
        tensors: as they were saved, on the CPU; they belong to the caller.
        state: the JSON part as it was saved (tuples come back as lists).
        skipped: one line for the user per newer checkpoint that was damaged and passed over.
    """

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    skipped: tuple[str, ...] = ()


def encode_state(state: Mapping[str, JSON]) -> bytes:
    """Return ``state`` as JSON; floats are written by repr and come back exactly, NaN and infinities included."""
    return json.dumps(state, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")


def write_folder(folder: Path, step: int, tensors: Mapping[str, torch.Tensor], state: bytes) -> None:
    """Create ``folder`` and write a whole checkpoint into it, every file and the folder itself fsynced.

    Raises:
        OSError: as the file system reports it; what was written so far is left for the caller to remove.
    """
    folder.mkdir()
    files: dict[str, FileSum] = {}
    with HashingFile(folder / TENSORS) as file:
        write_tensors(file, tensors, {})
    files[TENSORS] = FileSum(bytes=file.num_bytes, sha256=file.sha256)
    with HashingFile(folder / STATE) as file:
        file.write(state)
    files[STATE] = FileSum(bytes=file.num_bytes, sha256=file.sha256)
    with HashingFile(folder / MANIFEST) as file:
        file.write(_sealed(Manifest(step=step, files=files).model_dump()))
    fsync_folder(folder)


def verify_folder(folder: Path) -> int:
    """Read a checkpoint back, compare every byte with its manifest, and return its step.

    Raises:
        DamagedError: anything differs or is missing.
        CheckpointError: it was written by a newer schema.
    """
    manifest = _read_manifest(folder)
    for name in (TENSORS, STATE):
        _require_equal(name, manifest, *_measure(folder / name))
    return manifest.step


def read_folder(folder: Path) -> Checkpoint:
    """Load a checkpoint; every byte is compared with its manifest before it is used.

    Raises:
        DamagedError: anything differs or is missing.
        CheckpointError: it was written by a newer schema.
    """
    manifest = _read_manifest(folder)
    content: dict[str, bytes] = {}
    for name in (TENSORS, STATE):
        content[name] = _read(folder / name)
        _require_equal(name, manifest, len(content[name]), hashlib.sha256(content[name]).hexdigest())
    try:
        tensors, _ = read_safetensors(content[TENSORS])
        state = json.loads(content[STATE].decode("utf-8", "surrogatepass"))
    except (SafetensorsFormatError, ValueError) as error:
        raise DamagedError(f"its content cannot be read: {error}") from error
    return Checkpoint(step=manifest.step, tensors=tensors, state=state)


def _sealed(body: Mapping[str, object]) -> bytes:
    encoded = json.dumps(body, sort_keys=True)
    return json.dumps({"body": body, "sha256": hashlib.sha256(encoded.encode()).hexdigest()}, sort_keys=True).encode()


def _read_manifest(folder: Path) -> Manifest:
    raw = _read(folder / MANIFEST)
    try:
        body = json.loads(raw)["body"]
        sealed, version = _sealed(body), body["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(f"{MANIFEST} is not a manifest") from error
    # compared as bytes: a manifest that was edited, in however small a way, vouches for nothing
    if sealed != raw:
        raise DamagedError(f"{MANIFEST} does not match its own checksum")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise CheckpointError(
            f"{shown(folder)} has checkpoint version {version}, this Edgewise reads up to version "
            f"{SCHEMA_VERSION}; update Edgewise"
        )
    try:
        return Manifest.model_validate(body)
    except ValidationError as error:
        raise DamagedError(f"{MANIFEST} is not a manifest") from error


def _require_equal(name: str, manifest: Manifest, num_bytes: int, sha256: str) -> None:
    expected = manifest.files.get(name)
    if expected is None:
        raise DamagedError(f"{MANIFEST} does not name {name}")
    if num_bytes != expected.bytes:
        raise DamagedError(f"{name} is {num_bytes} bytes long, {expected.bytes} were saved")
    if sha256 != expected.sha256:
        raise DamagedError(f"{name} does not match its checksum")


def _read(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise DamagedError(f"{path.name} cannot be read: {error.strerror}") from error


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    num_bytes = 0
    try:
        with os.fdopen(open_regular(path), "rb", buffering=0) as file:
            while chunk := file.read(READ_BYTES):
                digest.update(chunk)
                num_bytes += len(chunk)
    except OSError as error:
        raise DamagedError(f"{path.name} cannot be read: {error.strerror}") from error
    return num_bytes, digest.hexdigest()
