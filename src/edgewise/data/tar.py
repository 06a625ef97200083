"""Listing a plain tar for reading in place; nothing is ever extracted and no link is followed."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import BinaryIO, cast

from edgewise.data.listing import MAX_FILE_BYTES, Entry, Listing, is_litter
from edgewise.data.sources import TarImage
from edgewise.errors import DataError, shown

MAX_MEMBERS = 2_000_000
_MAX_HEADER_BYTES = 2**20
_BLOCK = 512
_MAX_PATH = 4096


def list_tar(path: Path, source: Path | None = None) -> Listing:
    """List the members of the uncompressed tar at ``path``.

    Args:
        path: the plain tar.
        source: the archive that the user gave, for messages, where that is another file.

    Raises:
        DataError: no tar, damaged, cut short, or hostile: a name that leaves the root, a device, a file behind a link,
            a member beyond `MAX_FILE_BYTES`, more than `MAX_MEMBERS` members.
    """
    name = shown(source or path)
    try:
        with path.open("rb") as file, tarfile.TarFile(fileobj=cast("BinaryIO", _Guarded(file))) as archive:
            return _Reader(path, name).read(archive)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror or error}") from error
    except (tarfile.TarError, ValueError, OverflowError, KeyError, IndexError, RecursionError) as error:
        raise DataError(f"{name} is no usable tar: {str(error) or type(error).__name__}") from error


class _Guarded:
    """A file that refuses the giant reads which a forged extended header can ask for."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size} bytes")
        return self.file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()


class _Reader:
    """Goes through the headers once."""

    def __init__(self, path: Path, shown_name: str) -> None:
        self.path = str(path)
        self.shown_name = shown_name
        self.listing = Listing()
        self.places: dict[str, int] = {}
        self.links: set[str] = set()

    def read(self, archive: tarfile.TarFile) -> Listing:
        count, offset = 0, -1
        while (member := archive.next()) is not None:
            vars(archive)["members"] = []  # tarfile keeps every header otherwise: 1 GB for a million
            count += 1
            if count > MAX_MEMBERS:
                raise DataError(f"{self.shown_name} holds more than {MAX_MEMBERS:,} members")
            if archive.offset <= offset:
                raise DataError(f"{self.shown_name} is no usable tar: a header points backwards")
            offset = archive.offset
            self._add(member, _safe_name(member, self.shown_name))
        _check_end(archive, Path(self.path), self.shown_name)
        behind = sorted(self.links & self.listing.folders)
        if behind:
            raise DataError(f"{self.shown_name} is refused: it holds files behind the link {shown(behind[0])}")
        return self.listing

    def _add(self, member: tarfile.TarInfo, name: str) -> None:
        listing, parts = self.listing, name.split("/")
        if any(is_litter(part) for part in parts):
            listing.ignored["hidden or system file"] += 1
            return
        listing.folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        if member.isdir():
            listing.folders.update({name} - {""})
        elif member.issym() or member.islnk():
            _refuse_escape(member, len(parts) - 1, self.shown_name)
            self.links.add(name)
            listing.refused.append((name, "a link inside an archive is not followed"))
        else:
            self._add_file(Entry(name, member.size, 0, TarImage(self.path, member.offset_data, member.size)))

    def _add_file(self, entry: Entry) -> None:
        if entry.name in self.places:  # the later one of two members with one name counts, as when unpacked
            self.listing.files[self.places[entry.name]] = entry
            self.listing.ignored["older copy of a member"] += 1
        else:
            self.places[entry.name] = len(self.listing.files)
            self.listing.files.append(entry)


def _safe_name(member: tarfile.TarInfo, archive: str) -> str:
    parts = [part for part in member.name.split("/") if part not in {"", "."}]
    drive = bool(parts) and len(parts[0]) > 1 and parts[0][1] == ":" and parts[0][0].isalpha()
    if member.name.startswith(("/", "\\")) or drive or ".." in parts or "..\\" in member.name or "\0" in member.name:
        raise DataError(f"{archive} is refused: the member {shown(member.name)} points outside the archive")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()) or member.issparse():
        raise DataError(f"{archive} is refused: the member {shown(member.name)} is no plain file or folder")
    if not 0 <= member.size <= MAX_FILE_BYTES:
        raise DataError(
            f"{archive} is refused: the member {shown(member.name)} claims {member.size:,} bytes (limit 256 MiB)"
        )
    return "/".join(parts)


def _refuse_escape(link: tarfile.TarInfo, depth: int, archive: str) -> None:
    """Refuse a link that leaves the root, read from ``depth`` folders below it (a hard link: from the root itself)."""
    target = link.linkname
    level = lowest = depth if link.issym() else 0
    for part in target.split("/"):
        level += {"..": -1, ".": 0, "": 0}.get(part, 1)
        lowest = min(lowest, level)
    if target.startswith(("/", "\\")) or lowest < 0 or len(target) > _MAX_PATH:
        raise DataError(f"{archive} is refused: the link {shown(link.name)} points outside the archive")


def _check_end(archive: tarfile.TarFile, path: Path, shown_name: str) -> None:
    """Refuse an archive without its end mark: tarfile takes a damaged or missing header for the end."""
    with path.open("rb") as file:
        file.seek(archive.offset)
        end = file.read(_BLOCK)
    if len(end) != _BLOCK or any(end):
        raise DataError(f"{shown_name} is damaged or cut short at byte {archive.offset:,}: pack or download it again")
