"""Finding classes and splits among listed files."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from edgewise.data.listing import Entry, Listing, as_label
from edgewise.errors import DataError, shown

VAL_NAMES = ("val", "valid", "validation", "test")
"""Folder names of a validation split, the preferred one first."""
_EXPECTED = "expected root/train/<class>/ and root/val/<class>/, or root/<class>/"


@dataclass
class Layout:
    """Files by split and class."""

    prefix: str
    """Where splits or classes begin; names are shown and hashed without it."""
    labels: tuple[str, ...]
    train: list[list[Entry]]
    """One list a class, in the order of `labels`, sorted by name."""
    val: list[list[Entry]] | None
    """None where one folder is still to be split."""
    notes: list[str] = field(default_factory=list)


def arrange(listing: Listing, source: str) -> Layout:
    """Find the classes of a listing.

    Args:
        listing: names relative to the root.
        source: the root as messages name it.

    Raises:
        DataError: empty, images loose in the root or in a split, one class only, an empty class, names that differ only
            in case or form, or other classes in val than in train.
    """
    tree = _Tree(listing)
    prefix = _descend(tree)
    folders = tree.children[prefix]
    _refuse_loose(tree, prefix, source)
    if not folders:
        raise DataError(f"{source} holds no images: {_EXPECTED}")
    train, val = _split_folders(folders)
    if train is None or val is None:
        classes = _classes(tree, prefix, source)
        _refuse_path_labels(tree, prefix, source)
        return Layout(prefix, tuple(as_label(name) for name in classes), list(classes.values()), None)
    _refuse_loose(tree, f"{prefix}{train}/", source)
    _refuse_loose(tree, f"{prefix}{val}/", source)
    train_classes = _classes(tree, f"{prefix}{train}/", f"{source} ({train})")
    val_classes = _classes(tree, f"{prefix}{val}/", f"{source} ({val})")
    _refuse_difference(train_classes, val_classes, source, val)
    unused = sorted(set(folders) - {train, val})
    notes = [] if val.lower() == VAL_NAMES[0] else [f"the validation images are those of {shown(val)}"]
    if unused:
        notes.append(
            f"not used beside {shown(train)} and {shown(val)}: {', '.join(shown(name) for name in unused[:8])}"
        )
    labels = tuple(as_label(name) for name in train_classes)
    return Layout(prefix, labels, list(train_classes.values()), list(val_classes.values()), notes)


class _Tree:
    """A listing by folder; folders are named by their prefix, empty for the root, else ending in ``/``."""

    def __init__(self, listing: Listing) -> None:
        self.files = listing.files
        self.children: defaultdict[str, list[str]] = defaultdict(list)
        self.loose: defaultdict[str, list[Entry]] = defaultdict(list)
        for folder in sorted(listing.folders):
            parent, slash, name = folder.rpartition("/")
            self.children[parent + slash].append(name)
        for entry in listing.files:
            if entry.claims_image:
                parent, slash, _ = entry.name.rpartition("/")
                self.loose[parent + slash].append(entry)


def _descend(tree: _Tree) -> str:
    """Return the prefix of the folder that holds splits or classes; a root with one folder in it is but a wrapper."""
    prefix = ""
    for _ in range(2):
        children = tree.children[prefix]
        if len(children) != 1 or tree.loose[prefix] or not tree.children[f"{prefix}{children[0]}/"]:
            break
        prefix = f"{prefix}{children[0]}/"
    return prefix


def _split_folders(folders: list[str]) -> tuple[str | None, str | None]:
    by_name = {name.lower(): name for name in folders}
    val = next((by_name[name] for name in VAL_NAMES if name in by_name), None)
    return by_name.get("train", by_name.get("training")), val


def _refuse_loose(tree: _Tree, prefix: str, source: str) -> None:
    loose = tree.loose[prefix]
    if loose:
        where = f"in {shown(prefix.rstrip('/'))} of {source}" if prefix else f"in the root of {source}"
        raise DataError(f"{len(loose)} images lie loose {where}, as {shown(loose[0].name)}: {_EXPECTED}")


def _classes(tree: _Tree, prefix: str, source: str) -> dict[str, list[Entry]]:
    classes: dict[str, list[Entry]] = {name: [] for name in tree.children[prefix]}
    for entry in tree.files:
        if entry.name.startswith(prefix):
            head, slash, _ = entry.name[len(prefix) :].partition("/")
            if slash:
                classes[head].append(entry)
    _refuse_twins(classes, source)
    for entries in classes.values():
        entries.sort(key=lambda entry: entry.name)
    if len(classes) < 2:
        only = f" ({shown(next(iter(classes)))})" if classes else ""
        raise DataError(f"{source} holds {len(classes)} class{only}; at least 2 are needed: {_EXPECTED}")
    return classes


def _refuse_twins(classes: dict[str, list[Entry]], source: str) -> None:
    seen: dict[str, str] = {}
    for name in classes:
        key = unicodedata.normalize("NFC", as_label(name).strip().casefold())
        if key in seen:
            raise DataError(
                f"{source} holds the classes {shown(seen[key])} and {shown(name)}, differing only in case, spaces or "
                "Unicode form; join or rename them"
            )
        seen[key] = name


def _refuse_path_labels(tree: _Tree, prefix: str, source: str) -> None:
    """Refuse root/a/cat beside root/b/cat with no image in a or b itself: are a and b classes, or is cat?"""
    classes = [f"{prefix}{name}/" for name in tree.children[prefix]]
    nested = Counter(child for name in classes for child in tree.children[name])
    repeated = sorted(name for name, count in nested.items() if count > 1)
    if repeated and not any(tree.loose[name] for name in classes):
        raise DataError(f"{source}: the folder {shown(repeated[0])} lies in more than one class folder; {_EXPECTED}")


def _refuse_difference(train: Collection[str], val: Collection[str], source: str, val_name: str) -> None:
    differences = [
        f"only in {split}: {', '.join(shown(name) for name in sorted(names)[:8])}" + (" …" if len(names) > 8 else "")
        for split, names in (("train", set(train) - set(val)), (val_name, set(val) - set(train)))
        if names
    ]
    if differences:
        raise DataError(f"{source} has different classes in train and {val_name}: {'; '.join(differences)}")
