"""What a runtime is: something that loads a file and runs arrays through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a runtime can be used here; if not, the reason and what to install."""

    ok: bool
    version: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeOptions:
    """Settings that every runtime understands."""

    threads: int = 1
    """Threads for one call; 1 or more."""


class Session(Protocol):
    """A loaded file, ready to run."""

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        ...

    def close(self) -> None:
        """Free what the session holds."""
        ...


class Runtime(Protocol):
    """An engine that runs files of one or more formats."""

    @property
    def name(self) -> str:
        """The name that users type, as in ``onnxruntime``."""
        ...

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that it loads, as in ``("onnx",)``."""
        ...

    def availability(self) -> Availability:
        """Say whether this runtime can be used here."""
        ...

    def load(self, path: Path, options: RuntimeOptions) -> Session:
        """Load the file at ``path``.

        Raises:
            InputError: the file is missing or is not one that this runtime loads.
            MissingExtraError: the runtime is not installed.
        """
        ...
