"""PyTorch itself, running a saved exported program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.pt2_file import check_pt2
from edgewise.deploy.runtimes.sdk import Sdk

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class TorchSession:
    """A loaded `.pt2` file. torch's number of threads belongs to the process: it is given back by `close`."""

    def __init__(self, program: ExportedProgram, threads: int) -> None:
        import torch

        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(threads)
        self._module: Callable[..., Any] = program.module()
        self.inputs = _describe(program)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        import torch
        from torch.utils import _pytree as pytree

        with torch.inference_mode():
            outputs = self._module(*(torch.from_numpy(array) for array in arrays))
        return [output.numpy() for output in pytree.tree_leaves(outputs)]

    def close(self) -> None:
        """Free the module and give back the process's number of threads."""
        import torch

        torch.set_num_threads(self._threads_before)
        self._module = _closed


class TorchRuntime:
    """Runs `.pt2` files, as `torch.export.save` writes them, in inference mode on the CPU."""

    name = "torch"
    formats = ("pt2",)
    sdk = Sdk(package="torch", module="torch", install="torch")

    def availability(self) -> Availability:
        """Say whether torch is installed."""
        return self.sdk.availability()

    def load(self, path: Path, options: RuntimeOptions) -> TorchSession:
        """Load the `.pt2` file at ``path``.

        Raises:
            InputError: the file is missing, is no `.pt2`, is damaged, or asks for more than plain tensors.
            MissingExtraError: torch is not installed.
        """
        check_format(path, self)
        self.sdk.require()
        check_pt2(path)
        import torch

        with loading(path, "torch"), path.open("rb") as file, _quiet():
            program = torch.export.load(file)
        return TorchSession(program, options.threads)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back torch's log of a failed load: its exception says it in one line."""
    log = logging.getLogger("torch.export")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def _closed(*_: object) -> None:
    raise RuntimeError("this session is closed")


def _describe(program: ExportedProgram) -> tuple[FileInput, ...]:
    wanted = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    names = [node.name for node in program.graph.nodes if node.op == "placeholder" and node.name in wanted]
    return tuple(
        FileInput(
            name=name,
            shape=tuple(size if isinstance(size, int) else None for size in value.shape),
            dtype=str(value.dtype).removeprefix("torch."),
        )
        for name, value in zip(names, values, strict=True)
    )
