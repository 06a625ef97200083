"""Writing tensors as a safetensors file in one pass: streamed, hashed and fsynced, without a second copy in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from edgewise.blocks.state_hash import tensor_bytes
from edgewise.models.safetensors_format import layout

CHUNK_BYTES = 4 * 2**20


class HashingFile:
    """A new file that is hashed while it is written and fsynced when it is closed without an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self._descriptor = -1
        self.num_bytes = 0

    def __enter__(self) -> Self:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._path, flags, 0o644)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)

    def write(self, content: bytes | memoryview) -> None:
        """Append ``content``, however many system calls it takes."""
        rest = memoryview(content)
        while rest.nbytes:
            done = os.write(self._descriptor, rest[:CHUNK_BYTES])
            self._hash.update(rest[:done])
            self.num_bytes += done
            rest = rest[done:]

    @property
    def sha256(self) -> str:
        """The hash of everything written so far, in hex."""
        return self._hash.hexdigest()


def write_tensors(file: HashingFile, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write a whole safetensors file: any strides, memory format or shared storage; values are kept bit for bit.

    Raises:
        TypeError: a dtype that safetensors does not have.
        OSError: as the file system reports it.
    """
    leading, order = layout(tensors, metadata)
    file.write(leading)
    for name in order:
        file.write(tensor_bytes(tensors[name]))
