"""ExecuTorch on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.placement import counted
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import Sdk

METHOD = "forward"
SCALAR_TYPES = {6: "float32", 7: "float64", 5: "float16", 3: "int32", 4: "int64", 1: "int8", 0: "uint8"}
"""numpy's names of c10's scalar types."""


class ExecuTorchSession:
    """A loaded `.pte` program."""

    def __init__(self, path: Path, program: Any, method: Any) -> None:
        self._path = path
        self._program, self._method = program, method  # the method lives in the program's memory
        meta = method.metadata
        self.inputs = tuple(_describe(meta, index) for index in range(meta.num_inputs()))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        import torch

        return [output.numpy() for output in self._method.execute([torch.from_numpy(array) for array in arrays])]

    def placement(self) -> dict[str, int]:
        """Return how many calls the program makes to each delegate, and to portable kernels."""
        from executorch.exir._serialize._program import deserialize_pte_binary
        from executorch.exir.schema import DelegateCall, KernelCall

        plan = deserialize_pte_binary(self._path.read_bytes()).program.execution_plan[0]
        calls = [each.instr_args for chain in plan.chains for each in chain.instructions]
        return counted(
            plan.delegates[call.delegate_index].id if isinstance(call, DelegateCall) else "portable kernels"
            for call in calls
            if isinstance(call, DelegateCall | KernelCall)
        )

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
            return ExecuTorchSession(path, program, program.load_method(METHOD))


def _describe(meta: Any, index: int) -> FileInput:
    tensor = meta.input_tensor_meta(index)
    return FileInput(name=f"input_{index}", shape=tuple(tensor.sizes()), dtype=SCALAR_TYPES[int(tensor.dtype())])
