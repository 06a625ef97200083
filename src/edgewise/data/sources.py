"""Where an image's bytes are: in a file, inside a plain tar, or in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgewise.errors import DataError


class ImageHandle(Protocol):
    """A small, picklable thing that gives an image file's bytes."""

    def read(self) -> bytes:
        """Return the whole encoded file.

        Raises:
            OSError: the file is gone or cannot be read.
            DataError: the archive is shorter than it was.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileImage:
    """An image that is a file of its own."""

    path: str

    def read(self) -> bytes:
        """Return the file's bytes."""
        return Path(self.path).read_bytes()


@dataclass(frozen=True, slots=True)
class TarImage:
    """An image inside an uncompressed tar, read in place."""

    tar_path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Return the member's bytes; opens the tar anew, so that no descriptor is shared between processes."""
        with Path(self.tar_path).open("rb", buffering=0) as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) != self.size:
            raise DataError("the archive became shorter while it was in use")
        return content


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """An image held in memory, encoded."""

    content: bytes

    def read(self) -> bytes:
        """Return the bytes."""
        return self.content
