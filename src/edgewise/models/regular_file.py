"""Reading a file that a person named, without hanging on what is no file."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from edgewise.errors import shown

MAX_FILE_BYTES = 4 * 2**30
"""Far above any mobile model or its checkpoint; keeps a sparse file of terabytes out of memory."""

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_regular(path: Path) -> bytes:
    """Return the content of the regular file at ``path``.

    Raises:
        OSError: it is missing, a dangling link, a folder, device, pipe or socket, too large, or cannot be read;
            `strerror` says which.
    """
    descriptor = open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def open_regular(path: Path) -> int:
    """Open the regular file at ``path`` for reading and return its descriptor; raises as `read_regular` does."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "its name holds a NUL character", shown(path))
    if path.is_symlink() and not path.exists():
        raise OSError(errno.ENOENT, "a link to a file that is not there", str(path))
    # looked at before opening, because opening some devices does things, and after, because it may have been swapped
    _require_regular(path.stat(), path)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result, path: Path) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"{KINDS.get(kind, 'something else')}, not a file", str(path))
    if status.st_size > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"{status.st_size} bytes; at most {MAX_FILE_BYTES} are read", str(path))
