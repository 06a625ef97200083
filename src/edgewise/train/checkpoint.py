"""Checkpoints that survive a kill, a full disk and a flipped bit: at every moment one whole checkpoint can be loaded.

A save goes: temporary folder beside the others → write → fsync → checksummed manifest → rename → fsync → read back and
verify → only then drop what is too old.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edgewise.errors import CheckpointError, shown
from edgewise.records.files import fsync_folder
from edgewise.train.checkpoint_folder import (
    JSON,
    Checkpoint,
    DamagedError,
    encode_state,
    read_folder,
    verify_folder,
    write_folder,
)
from edgewise.train.tensor_file import HashingFile, write_tensors

TEMPORARY = ".partial"
"""One fixed name for what is being written or removed, so that a killed process leaves at most one of it."""

NAME = re.compile(r"step-(\d{6,})(?:\.(\d+))?")
MIN_KEPT = 2


@dataclass(frozen=True)
class SaveResult:
    """How a save went.

    Attributes:
        ok: whether the new file or folder is whole and on disk.
        path: where it is; absent when `ok` is false.
        bytes_needed: free space that the save takes.
        reason: one line for the user why it failed, or what else went wrong; empty when all is well.
    """

    ok: bool
    path: Path | None
    bytes_needed: int
    reason: str = ""


class CheckpointStore:
    """The checkpoints of one run, newest last, in folders like ``step-000120``.

    One process at a time may save (see `RunLock`). A step saved twice gets a second folder, ``step-000120.2``.
    """

    def __init__(self, folder: Path, keep: int = MIN_KEPT) -> None:
        if keep < MIN_KEPT:
            raise ValueError(f"keep is {keep}; must be at least {MIN_KEPT}, or damage to one loses the run")
        self.folder = folder
        self.keep = keep
        self._whole: set[Path] = set()

    def save(self, step: int, tensors: Mapping[str, torch.Tensor], state: Mapping[str, JSON]) -> SaveResult:
        """Save a checkpoint; a failing file system is reported in the result, and the older checkpoints stay whole.

        Args:
            step: optimiser steps done; whole checkpoints of *later* steps count as abandoned and are dropped.
            tensors: any strides, memory format, device or shared storage; kept bit for bit.
            state: everything else, as JSON.
        """
        encoded = encode_state(state)
        bytes_needed = sum(t.numel() * t.element_size() + 160 + len(name) for name, t in tensors.items())
        bytes_needed += len(encoded) + 1024
        try:
            path = self._write(step, tensors, encoded)
        except (OSError, DamagedError) as error:
            reason = (
                f"{shown(self.folder)}: the checkpoint of step {step} was not saved: {_why(error)}; it needs "
                f"{bytes_needed} bytes; older checkpoints are untouched"
            )
            return SaveResult(ok=False, path=None, bytes_needed=bytes_needed, reason=reason)
        self._whole.add(path)
        return SaveResult(ok=True, path=path, bytes_needed=bytes_needed, reason=self._drop_old(path))

    def load_latest(self) -> Checkpoint | None:
        """Load the newest whole checkpoint, or None where there is none at all.

        Raises:
            CheckpointError: all are damaged, the folder cannot be read, or one was written by a newer schema.
        """
        skipped: list[str] = []
        for path in reversed(self._stored()):
            try:
                checkpoint = self._read(path)
            except DamagedError as error:
                skipped.append(f"{shown(path)} is damaged and passed over: {error}")
                continue
            self._whole.add(path)
            return replace(checkpoint, skipped=tuple(skipped))
        if skipped:
            raise CheckpointError(
                f"{shown(self.folder)} holds no whole checkpoint; start a new run: {'; '.join(skipped)}"
            )
        return None

    def _write(self, step: int, tensors: Mapping[str, torch.Tensor], state: bytes) -> Path:
        temporary = self.folder / TEMPORARY
        path = temporary
        try:
            self._make_folder()
            _remove(temporary)
            write_folder(temporary, step, tensors, state)
            path = self._free_path(step)
            temporary.replace(path)
            fsync_folder(self.folder)
            verify_folder(path)
        except BaseException:
            self._discard(path)
            raise
        return path

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True)
            fsync_folder(self.folder.parent)

    def _free_path(self, step: int) -> Path:
        """Return the folder that sorts behind every stored one of this step, whichever of them have been dropped."""
        used = [attempt for stored, attempt in map(_order, self._stored()) if stored == step]
        name = f"step-{step:06d}"
        return self.folder / (f"{name}.{max(used) + 1}" if used else name)

    def _read(self, path: Path) -> Checkpoint:
        checkpoint = read_folder(path)
        if checkpoint.step != _order(path)[0]:
            raise DamagedError(f"it was saved at step {checkpoint.step}")
        return checkpoint

    def _stored(self) -> list[Path]:
        """Return the checkpoint folders, oldest first."""
        try:
            paths = [path for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CheckpointError(f"{shown(self.folder)} cannot be read: {error.strerror}") from error
        return sorted(paths, key=_order)

    def _drop_old(self, newest: Path) -> str:
        """Remove all but the `keep` newest whole checkpoints up to ``newest``; return what went wrong, if anything."""
        kept = 0
        for path in reversed(self._stored()):
            try:
                if _order(path) <= _order(newest) and kept < self.keep and self._is_whole(path):
                    kept += 1
                    continue
                self._whole.discard(path)
                path.replace(self.folder / TEMPORARY)
                _remove(self.folder / TEMPORARY)
            except CheckpointError:
                continue  # of a newer schema: not ours to judge or remove
            except OSError as error:
                return f"{shown(path)} is too old but could not be removed: {_why(error)}"
        return ""

    def _is_whole(self, path: Path) -> bool:
        if path not in self._whole:
            try:
                if verify_folder(path) != _order(path)[0]:
                    return False
            except DamagedError:
                return False
            self._whole.add(path)
        return True

    def _discard(self, path: Path) -> None:
        """Remove what a failed save left; if even that fails, the next save or the loader's checks deal with it."""
        temporary = self.folder / TEMPORARY
        with contextlib.suppress(OSError):
            if path != temporary and path.exists():
                path.replace(temporary)
            _remove(temporary)


def save_weights(path: Path, state_dict: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> SaveResult:
    """Write ``state_dict`` to ``path`` as safetensors, whole or not at all; file and folder are fsynced.

    A failing file system is reported in the result and leaves the file that was there before.
    """
    bytes_needed = sum(t.numel() * t.element_size() + 160 + len(name) for name, t in state_dict.items())
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with HashingFile(temporary) as file:
            write_tensors(file, state_dict, metadata)
        temporary.replace(path)
        fsync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        reason = f"{shown(path)} was not saved: {_why(error)}; it needs {bytes_needed} bytes"
        return SaveResult(ok=False, path=None, bytes_needed=bytes_needed, reason=reason)
    return SaveResult(ok=True, path=path, bytes_needed=bytes_needed)


def _order(path: Path) -> tuple[int, int]:
    match = NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1]), int(match[2] or 1)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
