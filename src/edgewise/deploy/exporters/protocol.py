"""What an exporter is: something that turns a captured program into a file of one format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from torch.export import ExportedProgram


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What an exporter is told beside the program."""

    precision: str = "fp32"
    input_name: str = "images"
    output_name: str = "logits"
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Travels inside the file."""
    calibration: Path | None = None
    """A ``.npy`` file of normalised real images (N, C, H, W), float32; needed by ``int8``."""


class Exporter(Protocol):
    """A writer of one file format."""

    @property
    def format(self) -> str:
        """The name that users type, as in ``onnx``."""
        ...

    @property
    def suffix(self) -> str:
        """The file name's ending, with its dot."""
        ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions that it writes, as in ``("fp32", "int8")``."""
        ...

    @property
    def runtime(self) -> str:
        """The runtime in which its files are verified."""
        ...

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``; called in a process of its own, so SDK errors may pass as they are."""
        ...
