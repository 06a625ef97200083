"""Turning what a user calls an archive into one plain tar that can be read in place."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from edgewise.data.cache import cache_folder
from edgewise.errors import DataError, shown

MAX_RATIO = 200
MAX_UNPACKED_BYTES = 64 * 2**30
_FREE_BYTES = 64 * 2**20
"""Below this size the ratio is not judged: a tar of a few tiny files is mostly zeros."""
_CHUNK = 2**20

Opener = Callable[[BinaryIO], BinaryIO]
_OPENERS: dict[bytes, Opener] = {
    b"\x1f\x8b": lambda file: cast("BinaryIO", gzip.GzipFile(fileobj=file)),
    b"\xfd7zXZ\x00": lambda file: cast("BinaryIO", lzma.LZMAFile(file)),  # noqa: SIM115  its file is closed by the caller
    b"BZh": lambda file: cast("BinaryIO", bz2.BZ2File(file)),
}
_ACCEPTED = "a folder, or a .tar, .tar.gz, .tar.xz or .tar.bz2 of one"


def plain_tar(path: Path) -> Path:
    """Return the plain tar of the archive at ``path``: itself, or a copy unpacked once under `cache_folder`.

    Raises:
        DataError: ``path`` is no tar of an accepted kind, is damaged, or unpacks to more than `MAX_RATIO` times its
            size or `MAX_UNPACKED_BYTES`; or the cache cannot be written.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK)
        if head[257:262] == b"ustar" or (len(head) >= 1024 and not any(head[:1024])):
            return path
        for magic, opener in _OPENERS.items():
            if head.startswith(magic):
                return _unpacked(path, opener)
    except OSError as error:
        raise DataError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    raise DataError(f"{shown(path)} is {_kind(head)}; give {_ACCEPTED}")


def _kind(head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.startswith(b"PK\x03\x04"):
        return "a zip"
    return "no archive of images"


def _unpacked(path: Path, opener: Opener) -> Path:
    info = path.stat()
    identity = f"{path.name}\0{info.st_size}\0{info.st_mtime_ns}".encode("utf-8", "surrogateescape")
    folder = cache_folder() / "archives"
    target = folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.tar"
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".tmp")
    except OSError as error:
        raise DataError(
            f"{shown(path)} must be unpacked into {shown(folder)}, which cannot be written: {error.strerror}; "
            "set EDGEWISE_CACHE to a folder with room"
        ) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out, path.open("rb") as packed:
            _copy(opener(packed), out, path, info.st_size)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def _copy(unpacker: BinaryIO, out: BinaryIO, path: Path, packed_bytes: int) -> None:
    limit = min(MAX_UNPACKED_BYTES, packed_bytes * MAX_RATIO + _FREE_BYTES)
    written = 0
    while chunk := _next_chunk(unpacker, path):
        if not written and chunk[257:262] != b"ustar":
            raise DataError(f"{shown(path)} holds no tar; give {_ACCEPTED}")
        written += len(chunk)
        if written > limit:
            raise DataError(f"{shown(path)} is refused: {packed_bytes:,} bytes unpack to more than {limit:,}")
        try:
            out.write(chunk)
        except OSError as error:
            raise DataError(
                f"{shown(path)} cannot be unpacked: {error.strerror} after {written:,} bytes "
                f"in {shown(cache_folder())}; set EDGEWISE_CACHE to a folder with room"
            ) from error
    if not written:
        raise DataError(f"{shown(path)} is an empty archive; give {_ACCEPTED}")


def _next_chunk(unpacker: BinaryIO, path: Path) -> bytes:
    try:
        return unpacker.read(_CHUNK)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, OSError) as error:
        raise DataError(f"{shown(path)} is damaged or cut short: {error}") from error
