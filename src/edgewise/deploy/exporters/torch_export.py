"""PyTorch's own ``.pt2`` files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import torch
from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.records.artifact import Layout

METADATA = "metadata.json"
"""Name among the archive's extra files."""
REORDERS = ("aten.permute.", "aten.transpose.", "aten.t.", "aten.movedim.", "aten.swapaxes.")
"""What the operators that reorder axes begin with."""


class TorchExporter:
    """Writer of ``.pt2`` files, with the metadata in an extra file named `METADATA`."""

    format = "pt2"
    suffix = ".pt2"
    precisions = ("fp32",)
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    runtime = "torch"
    sdks = (Sdk(package="torch", module="torch", install="torch"),)
    can_batch = batches_by_default = True
    names_input = False

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``."""
        metadata = json.dumps(dict(options.metadata), sort_keys=True)
        torch.export.save(program, path, extra_files={METADATA: metadata})

    def transposes(self, path: Path) -> int:
        """Count the calls of the program that reorder axes."""
        with path.open("rb") as file:
            program = torch.export.load(file)
        return sum(str(node.target).startswith(REORDERS) for node in program.graph.nodes)

    def metadata(self, path: Path) -> dict[str, str]:
        """Read back the text that the file at ``path`` carries."""
        with zipfile.ZipFile(path) as archive:
            (name,) = (each for each in archive.namelist() if each.endswith(f"/{METADATA}"))
            text: dict[str, str] = json.loads(archive.read(name))
        return text
