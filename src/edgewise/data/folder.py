"""Listing a folder: links followed only inside it, each real folder walked once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgewise.data.listing import Entry, Listing, is_litter
from edgewise.data.sources import FileImage
from edgewise.errors import DataError, shown


def list_folder(root: Path) -> Listing:
    """List all files below ``root``.

    Raises:
        DataError: a folder below ``root`` cannot be read.
    """
    listing = Listing()
    _Walk(root, listing).walk(root, "")
    return listing


class _Walk:
    def __init__(self, root: Path, listing: Listing) -> None:
        self.real_root = os.path.realpath(root)
        self.listing = listing
        self.visited: set[tuple[int, int]] = set()

    def walk(self, folder: Path, prefix: str) -> None:
        """Add what lies in ``folder``, whose name relative to the root is ``prefix`` (empty, or ending in ``/``)."""
        try:
            info = folder.stat()
            with os.scandir(folder) as found:
                # real files and folders first: a link to one of them is then the one that is left out
                entries = sorted(found, key=lambda entry: (entry.is_symlink(), entry.name))
        except OSError as error:
            raise DataError(f"the folder {shown(folder)} cannot be read: {error.strerror}") from error
        self.visited.add((info.st_dev, info.st_ino))
        for entry in entries:
            if is_litter(entry.name):
                self.listing.ignored["hidden or system file"] += 1
            else:
                self._add(entry, prefix + entry.name)

    def _add(self, entry: os.DirEntry[str], name: str) -> None:
        if entry.is_symlink() and not self._inside(entry.path):
            self.listing.refused.append((name, "a link that leaves the data set's folder"))
            return
        try:
            info = entry.stat()
        except OSError as error:
            self.listing.refused.append((name, f"cannot be read: {error.strerror}"))
            return
        if stat.S_ISDIR(info.st_mode):
            if (info.st_dev, info.st_ino) in self.visited:
                self.listing.ignored["link to a folder already read"] += 1
                return
            self.listing.folders.add(name)
            self.walk(Path(entry.path), name + "/")
        elif stat.S_ISREG(info.st_mode):
            self.listing.files.append(Entry(name, info.st_size, info.st_mtime_ns, FileImage(entry.path)))
        else:
            self.listing.refused.append((name, "neither a file nor a folder"))

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self.real_root or real.startswith(self.real_root.rstrip(os.sep) + os.sep)
