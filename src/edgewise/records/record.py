"""The base of all records: frozen, strict about unknown fields, JSON in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from edgewise.errors import InputError, shown
from edgewise.records.files import write_atomically


class Record(BaseModel):
    """A frozen result. Accuracies are fractions 0-1; times and sizes carry their unit in the field's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: Path) -> None:
        """Write this record to ``path`` as JSON, whole or not at all."""
        write_atomically(path, (self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a record from ``path``.

        Raises:
            InputError: the file is missing, is not JSON, or holds other fields than this record has.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise InputError(f"{shown(path)} is no {cls.__name__}: {where}: {first['msg']}") from error
