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

DELEGATE = "DELEGATE"


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

    def placement(self) -> dict[str, int]:
        """Return how many of the file's operators XNNPACK took, and how many LiteRT's own kernels run."""
        own = self._not_delegated()
        total = sum(each["op_name"] != DELEGATE for each in self._interpreter._get_ops_details())
        return {engine: count for engine, count in (("XNNPACK", total - own), ("LiteRT kernels", own)) if count}

    def _not_delegated(self) -> int:
        """Count the operators that still run themselves: those met on the way back from the outputs, around the delegate."""
        makers: dict[int, dict[str, Any]] = {}
        for operator in self._interpreter._get_ops_details():
            # the delegate's nodes come last, and replace those that made the same tensors
            makers |= dict.fromkeys(map(int, operator["outputs"]), operator)
        wanted, met = list(self._outputs), dict[int, dict[str, Any]]()
        while wanted:
            maker = makers.get(wanted.pop())
            if maker is not None and maker["index"] not in met:
                met[maker["index"]] = maker
                wanted += map(int, maker["inputs"])
        return sum(each["op_name"] != DELEGATE for each in met.values())

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
