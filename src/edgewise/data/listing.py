"""What lies in a data set's folder or archive, before anything is opened."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from edgewise.data.sources import ImageHandle
from edgewise.errors import shown

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif"}
    | {
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".avif",
        ".jxl",
        ".jp2",
        ".psd",
        ".svg",
        ".svgz",
        ".dng",
        ".cr2",
        ".nef",
        ".arw",
    }
)
"""A file with one of these claims to be an image; if it is none that we read, it is a bad file and not a stray one."""

MAX_FILE_BYTES = 256 * 2**20
"""A single image file or archive member may be this large."""

_LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "lost+found"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One regular file, by its name relative to the root (``/`` between parts)."""

    name: str
    size: int
    mtime_ns: int
    handle: ImageHandle

    @property
    def claims_image(self) -> bool:
        """Whether the name's ending says that this is an image."""
        return PurePosixPath(self.name).suffix.lower() in IMAGE_SUFFIXES


@dataclass
class Listing:
    """All files and folders below a root, and what was left out on the way."""

    files: list[Entry] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    """Relative names of all folders, empty ones too."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(name, reason) of things that a person may have meant as images, such as links that leave the root."""
    ignored: Counter[str] = field(default_factory=Counter)
    """How many things were passed over, by kind."""


def is_litter(part: str) -> bool:
    """Whether systems or editors leave files or folders of this name: hidden ones, ``__MACOSX``, ``Thumbs.db``."""
    return part.startswith(".") or part.lower() in _LITTER


def plain(name: str) -> str:
    """Return a name as records and messages carry it: `errors.shown` without its quotes."""
    return shown(name, limit=300)[1:-1]


def as_label(name: str) -> str:
    """Return a folder's name as a class label: valid UTF-8 on one line; bad bytes and control characters escaped."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in text
    )
