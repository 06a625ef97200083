"""ExecuTorch's `.pte` files, lowered to XNNPACK."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from edgewise.deploy.exporters.protocol import ExportOptions
from edgewise.deploy.pte_transposes import count_transposes
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.records.artifact import Layout

METADATA = "metadata"
"""Name of the constant method that returns the metadata as JSON."""


class ExecuTorchExporter:
    """Writer of `.pte` files with one input of a fixed batch and one output; without XNNPACK they would run an order slower."""

    format = "pte"
    suffix = ".pte"
    precisions = ("fp32", "int8")
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    runtime = "executorch"
    sdks = tuple(Sdk(package=name, module=name, install="'edgewise[executorch]'") for name in ("executorch", "torchao"))
    can_batch = batches_by_default = names_input = False

    def export(self, program: ExportedProgram, path: Path, options: ExportOptions) -> None:
        """Write ``program`` to ``path``."""
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        if options.precision == "int8":
            program = _quantised(program, options.calibration_images())
        metadata = json.dumps(dict(options.metadata), sort_keys=True, ensure_ascii=False)
        lowered = to_edge_transform_and_lower(
            program, partitioner=[XnnpackPartitioner()], constant_methods={METADATA: metadata}
        )
        with path.open("wb") as file:
            lowered.to_executorch().write_to_file(file)

    def transposes(self, path: Path) -> int:
        """Count what reorders axes: kernels of the program, and nodes of the graphs that XNNPACK took."""
        return count_transposes(path.read_bytes())

    def metadata(self, path: Path) -> dict[str, str]:
        """Read back the text that the file at ``path`` carries."""
        from executorch.runtime import Runtime

        (content,) = Runtime.get().load_program(path).load_method(METADATA).execute([])
        text: dict[str, str] = json.loads(content)
        return text


def _quantised(program: ExportedProgram, images: NDArray[np.float32]) -> ExportedProgram:
    """Return ``program`` with int8 weights (per channel) and activations, as XNNPACK computes them."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    observed = prepare_pt2e(program.module(), quantizer)
    with torch.no_grad():
        for image in images:
            observed(torch.from_numpy(np.array(image[None])))
    return torch.export.export(convert_pt2e(observed), (torch.from_numpy(np.array(images[:1])),))
