"""What a loaded file expects, where its runtime can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInput:
    """One input of a loaded file.

    Like `records.artifact.InputSpec`, but free of pydantic: measuring processes use it, and their memory is reported.

    Attributes:
        name: as in the file.
        shape: (N, C, H, W); None is a dynamic size.
        dtype: numpy's name of the element type, as in ``float32``.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@runtime_checkable
class DescribesInputs(Protocol):
    """A session that knows the inputs of its file."""

    @property
    def inputs(self) -> tuple[FileInput, ...]:
        """The inputs in the file's own order."""
        ...
