"""PyTorch's own ``.pt2`` files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.runtimes.sdk import Sdk


class TorchExporter:
    """Writer of ``.pt2`` files, with the metadata in an extra file named ``metadata.json``."""

    format = "pt2"
    suffix = ".pt2"
    precisions = ("fp32",)
    runtime = "torch"
    sdks = (Sdk(package="torch", module="torch", install="torch"),)
    can_batch = batches_by_default = True

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``."""
        metadata = json.dumps(dict(options.metadata), sort_keys=True)
        torch.export.save(program, path, extra_files={"metadata.json": metadata})
