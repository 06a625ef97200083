"""ExecuTorch on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import Sdk

METHOD = "forward"
SCALAR_TYPES = {6: "float32", 7: "float64", 5: "float16", 3: "int32", 4: "int64", 1: "int8", 0: "uint8"}
"""numpy's names of c10's scalar types."""


class ExecuTorchSession:
    """A loaded `.pte` program."""

    def __init__(self, program: Any, method: Any) -> None:
        self._program, self._method = program, method  # the method lives in the program's memory
        meta = method.metadata
        self.inputs = tuple(_describe(meta, index) for index in range(meta.num_inputs()))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        import torch

        return [output.numpy() for output in self._method.execute([torch.from_numpy(array) for array in arrays])]

    def close(self) -> None:
        """Free the program."""
        self._method = self._program = None


class ExecuTorch:
    """Runs `.pte` files on the CPU: XNNPACK where the file was lowered to it, portable kernels for the rest."""

    name = "executorch"
    formats = ("pte",)
    sdk = Sdk(package="executorch", module="executorch.runtime", install="'edgewise[executorch]'")

    def availability(self) -> Availability:
        """Say whether ExecuTorch is installed."""
        return self.sdk.availability()

    def load(self, path: Path, options: RuntimeOptions) -> ExecuTorchSession:
        """Load the `.pte` file at ``path``. The number of threads is the process's: that of the last file loaded holds for all.

        Raises:
            InputError: the file is missing, is no `.pte`, or is damaged.
            MissingExtraError: ExecuTorch is not installed.
        """
        check_format(path, self)
        self.sdk.require()
        from executorch.extension.pybindings import portable_lib
        from executorch.runtime import Runtime, Verification

        with loading(path, "ExecuTorch"), quiet():
            portable_lib._unsafe_reset_threadpool(options.threads)
            program = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
            return ExecuTorchSession(program, program.load_method(METHOD))


def _describe(meta: Any, index: int) -> FileInput:
    tensor = meta.input_tensor_meta(index)
    return FileInput(name=f"input_{index}", shape=tuple(tensor.sizes()), dtype=SCALAR_TYPES[int(tensor.dtype())])
