"""LiteRT (formerly TensorFlow Lite) on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import Sdk


class LiteRtSession:
    """A loaded `.tflite` file with its tensors in place."""

    def __init__(self, interpreter: Any) -> None:
        interpreter.allocate_tensors()
        self._interpreter = interpreter
        self._inputs = [detail["index"] for detail in interpreter.get_input_details()]
        self._outputs = [detail["index"] for detail in interpreter.get_output_details()]
        self.inputs = tuple(_describe(detail) for detail in interpreter.get_input_details())

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        for index, array in zip(self._inputs, arrays, strict=True):
            self._interpreter.set_tensor(index, array)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]

    def close(self) -> None:
        """Free the interpreter's memory and threads."""
        self._interpreter = None


class LiteRt:
    """Runs `.tflite` files on the CPU; XNNPACK takes what it can, with a fixed number of threads."""

    name = "litert"
    formats = ("tflite",)
    sdk = Sdk(package="ai-edge-litert", module="ai_edge_litert.interpreter", install="'edgewise[litert]'")

    def availability(self) -> Availability:
        """Say whether LiteRT is installed."""
        return self.sdk.availability()

    def load(self, path: Path, options: RuntimeOptions) -> LiteRtSession:
        """Load the `.tflite` file at ``path``.

        Raises:
            InputError: the file is missing, is no `.tflite`, or is damaged.
            MissingExtraError: LiteRT is not installed.
        """
        check_format(path, self)
        self.sdk.require()
        from ai_edge_litert.interpreter import Interpreter

        with loading(path, "LiteRT"), quiet():
            return LiteRtSession(Interpreter(str(path), num_threads=options.threads))


def _describe(detail: dict[str, Any]) -> FileInput:
    shape = tuple(int(size) if size > 0 else None for size in detail["shape_signature"])
    return FileInput(name=detail["name"], shape=shape, dtype=np.dtype(detail["dtype"]).name)
