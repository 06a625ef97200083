"""What a data set holds, and which files in it could not be used."""

from __future__ import annotations

from edgewise.records.record import Record


class SkippedFile(Record):
    """One file that is not used, and why."""

    path: str
    """As shown to people: escaped where the name is not printable."""
    reason: str


class DataSummary(Record):
    """A data set as it was found."""

    source: str
    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    """Images per class, in the order of `labels`."""
    val_counts: tuple[int, ...]
    split: str
    """``folders`` when train and val were given apart, else how the split was made."""
    skipped: tuple[SkippedFile, ...] = ()
    notes: tuple[str, ...] = ()
    """Things worth saying: ignored files, duplicate pixels, imbalance."""
    fingerprint: str
    """SHA-256 over the classes and the sorted names and sizes of all samples; a resumed run must find the same."""
