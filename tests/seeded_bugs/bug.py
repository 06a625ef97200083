"""What a seeded bug is, and the right export that it is made from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgewise.records.artifact import Artifact, Preprocessing


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network that bugs are seeded into."""

    name: str
    build: Callable[[], nn.Module]
    preprocessing: Preprocessing
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Right:
    """A right export of a subject, which was verified."""

    subject: Subject
    model: nn.Module
    path: Path
    """The file to open."""
    metadata: dict[str, str]
    """The text inside."""
    artifact: Artifact

    @property
    def format(self) -> str:
        """As in ``onnx``."""
        return self.artifact.format


Seed = Callable[[Right, Path], None]
"""Writes a wrong file of the same format to the path, with what belongs to it beside."""


@dataclass(frozen=True, kw_only=True)
class Bug:
    """One way in which an exported file is wrong."""

    name: str
    imitates: str
    """The bug of real life, in one sentence."""
    seed: Seed
    format: str = "onnx"
    subject: str = "specimen"
    during: Callable[[], AbstractContextManager[object]] = nullcontext
    """Holds while the file is judged: a bug of our own code, which prepares pictures, rather than of the file."""
