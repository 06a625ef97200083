"""Opening a data set: from a path to labelled, checked and split samples."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgewise.data.archive import plain_tar
from edgewise.data.check import NO_IMAGE, Verdict, check_files
from edgewise.data.folder import list_folder
from edgewise.data.layout import Layout, arrange
from edgewise.data.listing import Entry, Listing, plain
from edgewise.data.sources import ImageHandle
from edgewise.data.split import val_indices
from edgewise.data.tar import list_tar
from edgewise.errors import ConfigError, DataError, shown
from edgewise.records.data import DataSummary, SkippedFile

MAX_BAD_SHARE = 0.01
"""With a larger share of unusable files a data set is refused."""

_IMBALANCE = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled image."""

    image: ImageHandle
    label: int
    name: str
    """Relative to the data set; may hold any bytes (surrogateescape), so show it with `errors.shown`."""


@dataclass(frozen=True)
class Dataset:
    """A data set ready to be loaded."""

    summary: DataSummary
    train: Sequence[Sample]
    val: Sequence[Sample]
    labels: tuple[str, ...]


def open_dataset(
    path: Path,
    *,
    val_share: float = 0.2,
    split_seed: int = 0,
    checks: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Open a folder or a tar of ``train/<class>/`` and ``val/<class>/``, or of ``<class>/`` alone.

    Args:
        path: the folder or archive (.tar, .tar.gz, .tar.xz, .tar.bz2; judged by content). Compressed ones are unpacked
            once into one plain tar under the cache folder.
        val_share: fraction of each class that validates, where the data set does not say; 0-1, both ends excluded.
        split_seed: chooses another split; the same names and seed always give the same one.
        checks: decode every file first and compare contents (remembered for an unchanged set); False trusts the names.
        progress: called with (files checked, files in all).

    Returns:
        Samples sorted by class and name; unusable files are left out and listed in ``summary.skipped``.

    Raises:
        DataError: the path or the data set cannot be used; one line saying why.
        ConfigError: ``val_share`` is out of range.
    """
    if not 0 < val_share < 1:
        raise ConfigError(f"val_share is {val_share}; must be between 0 and 1, both excluded")
    listing, identity = _list(path)
    source = shown(path)
    layout = arrange(listing, source)
    entries = [entry for group in (*layout.train, *(layout.val or ())) for entry in group]
    verdicts = check_files(entries, identity, decode=checks, progress=progress)
    report = _Report(layout, listing, source)
    kept = report.judge(entries, verdicts)
    train, val, split = _split(layout, kept, val_share, split_seed)
    report.note_leaks(train, val)
    return _assemble(path, layout, report, (train, val), split)


def _list(path: Path) -> tuple[Listing, str]:
    try:
        if path.is_dir():
            return list_folder(path), str(path.resolve())
        if path.is_file():
            info = path.stat()
            return list_tar(plain_tar(path), path), f"{path.resolve()}\0{info.st_size}\0{info.st_mtime_ns}"
        exists = path.exists() or path.is_symlink()
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if exists:
        raise DataError(f"{shown(path)} is neither a folder nor a file")
    raise DataError(f"{shown(path)} does not exist; give a folder or a tar of images")


class _Report:
    """Gathers what was skipped and what is worth saying."""

    def __init__(self, layout: Layout, listing: Listing, source: str) -> None:
        self.layout = layout
        self.source = source
        self.skipped = [SkippedFile(path=plain(name), reason=reason) for name, reason in sorted(listing.refused)]
        self.notes = list(layout.notes)
        self.notes += [f"ignored: {count} x {kind}" for kind, count in sorted(listing.ignored.items())]
        self.digests: dict[str, str] = {}

    def judge(self, entries: Sequence[Entry], verdicts: Sequence[Verdict]) -> set[str]:
        """Return the names of the files to use; note and list the others.

        Raises:
            DataError: more than `MAX_BAD_SHARE` of the files are unusable.
        """
        kept: set[str] = set()
        stray = 0
        for entry, verdict in zip(entries, verdicts, strict=True):
            if not verdict.fault:
                kept.add(entry.name)
                self.digests[entry.name] = verdict.digest
            elif verdict.fault == NO_IMAGE:
                stray += 1
            else:
                self.skipped.append(SkippedFile(path=plain(entry.name), reason=verdict.fault))
        self._stop_beyond_share(len(kept) + len(self.skipped))
        if stray:
            self.notes.append(f"ignored: {stray} x file that is no image")
        return kept - self._conflicting(kept)

    def _stop_beyond_share(self, total: int) -> None:
        bad = len(self.skipped)
        if bad > MAX_BAD_SHARE * total:
            first = "; ".join(f"'{file.path}': {file.reason}" for file in self.skipped[:3])
            raise DataError(
                f"{self.source}: {bad} of {total} files cannot be used (at most {MAX_BAD_SHARE:.0%} may be skipped): "
                + first
                + ("; …" if bad > 3 else "")
            )

    def _conflicting(self, kept: set[str]) -> set[str]:
        """Return files whose bytes also stand under another class: nobody can say which of the two is right."""
        where: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        for split in (self.layout.train, self.layout.val or []):
            for label, entries in enumerate(split):
                for entry in entries:
                    if entry.name in kept and self.digests[entry.name]:
                        where[self.digests[entry.name]].append((label, entry.name))
        conflicting: set[str] = set()
        for places in where.values():
            labels = sorted({self.layout.labels[label] for label, _ in places})
            if len(labels) > 1:
                reason = f"the same bytes stand under the classes {', '.join(shown(label) for label in labels)}"
                self.skipped += [SkippedFile(path=plain(name), reason=reason) for _, name in sorted(places)]
                conflicting |= {name for _, name in places}
        return conflicting

    def note_leaks(self, train: Sequence[Sequence[Entry]], val: Sequence[Sequence[Entry]]) -> None:
        """Note how many validation images are byte-identical to training images."""
        known = {self.digests[entry.name] for entries in train for entry in entries} - {""}
        leaked = [entry.name for entries in val for entry in entries if self.digests[entry.name] in known]
        if leaked:
            self.notes.append(f"{len(leaked)} validation images are also training images, as {shown(leaked[0])}")

    def note_counts(self, train: Sequence[int], val: Sequence[int]) -> None:
        """Note imbalance and classes without validation images."""
        most, least = max(train), min(train)
        if most > _IMBALANCE * least:
            labels = self.layout.labels
            self.notes.append(
                f"imbalanced: {shown(labels[train.index(most)])} has {most} training images, "
                f"{shown(labels[train.index(least)])} has {least}"
            )
        bare = [shown(label) for label, count in zip(self.layout.labels, val, strict=True) if not count]
        if bare:
            self.notes.append(f"{len(bare)} classes have a single image, for training: {', '.join(bare[:8])}")


_Groups = list[list[Entry]]


def _split(layout: Layout, kept: set[str], val_share: float, seed: int) -> tuple[_Groups, _Groups, str]:
    train = [[entry for entry in entries if entry.name in kept] for entries in layout.train]
    if layout.val is not None:
        return train, [[entry for entry in entries if entry.name in kept] for entries in layout.val], "folders"
    val: _Groups = []
    start = len(layout.prefix)
    for index, entries in enumerate(train):
        chosen = val_indices([entry.name[start:] for entry in entries], val_share, seed)
        val.append([entry for position, entry in enumerate(entries) if position in chosen])
        train[index] = [entry for position, entry in enumerate(entries) if position not in chosen]
    return train, val, f"{val_share:.0%} of each class by the hash of its names, seed {seed}"


def _assemble(path: Path, layout: Layout, report: _Report, splits: tuple[_Groups, _Groups], split: str) -> Dataset:
    train, val = splits
    sides = [("train", train)] + ([("val", val)] if layout.val is not None else [])
    empty = [
        f"{shown(layout.labels[i])} ({side})" if layout.val is not None else shown(layout.labels[i])
        for side, groups in sides
        for i, group in enumerate(groups)
        if not group
    ]
    if empty:
        listed = ", ".join(empty[:8]) + (" …" if len(empty) > 8 else "")
        raise DataError(f"{report.source} has classes without a usable image: {listed}; fill or remove them")
    train_counts, val_counts = tuple(map(len, train)), tuple(map(len, val))
    if not any(val_counts):
        raise DataError(f"{report.source} has one image in each class, so none is left to validate with")
    report.note_counts(train_counts, val_counts)
    start = len(layout.prefix)
    summary = DataSummary(
        source=plain(str(path)),
        labels=layout.labels,
        train_counts=train_counts,
        val_counts=val_counts,
        split=split,
        skipped=tuple(report.skipped),
        notes=tuple(report.notes),
        fingerprint=_fingerprint(layout, train, val),
    )
    return Dataset(summary, tuple(_samples(train, start)), tuple(_samples(val, start)), layout.labels)


def _samples(groups: _Groups, start: int) -> Iterator[Sample]:
    for label, entries in enumerate(groups):
        for entry in entries:
            yield Sample(entry.handle, label, entry.name[start:])


def _fingerprint(layout: Layout, train: _Groups, val: _Groups) -> str:
    digest = hashlib.sha256("\0".join(layout.labels).encode())
    start = len(layout.prefix)
    for split, groups in (("train", train), ("val", val)):
        for name, size in sorted((entry.name[start:], entry.size) for entries in groups for entry in entries):
            digest.update(f"\0{split}\0{name}\0{size}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
