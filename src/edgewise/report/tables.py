"""Records as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from edgewise.records.files import write_atomically
from edgewise.records.training import EpochRecord


def write_results_csv(epochs: Sequence[EpochRecord], path: Path) -> None:
    """Write one row an epoch to ``path``, whole or not at all; columns are the field names of `EpochRecord`.

    Raises:
        OSError: ``path`` cannot be written; an older file there is then untouched.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(EpochRecord.model_fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(epoch.model_dump() for epoch in epochs)
    write_atomically(path, text.getvalue().encode())
