"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.onnx_file import external_files
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.sdk import Sdk

ONLY_ERRORS = 3
NUMPY_TYPES = {"float": "float32", "double": "float64"}


class OnnxRuntimeSession:
    """A loaded `.onnx` file."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._names = [node.name for node in session.get_inputs()]
        self.inputs = tuple(_describe(node) for node in session.get_inputs())

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        outputs: list[Array] = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        return outputs

    def close(self) -> None:
        """Free the session's memory and threads."""
        self._session = None


class OnnxRuntime:
    """Runs `.onnx` files on the CPU, operator after operator, with a fixed number of threads in each."""

    name = "onnxruntime"
    formats = ("onnx",)
    sdk = Sdk(package="onnxruntime", module="onnxruntime", install="onnxruntime")

    def availability(self) -> Availability:
        """Say whether ONNX Runtime is installed."""
        return self.sdk.availability()

    def load(self, path: Path, options: RuntimeOptions) -> OnnxRuntimeSession:
        """Load the `.onnx` file at ``path``.

        Raises:
            InputError: the file is missing, is no ONNX, is damaged, or has tensors outside its folder.
            MissingExtraError: ONNX Runtime is not installed.
        """
        check_format(path, self)
        external_files(path)
        self.sdk.require()
        import onnxruntime as ort

        with loading(path, "ONNX Runtime"):
            session = ort.InferenceSession(str(path), session_options(options), providers=["CPUExecutionProvider"])
        return OnnxRuntimeSession(session)


def session_options(options: RuntimeOptions) -> Any:
    """Return how sessions are set up: operator after operator, a fixed number of threads in each."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.log_severity_level = ONLY_ERRORS
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1")
    return settings


def _describe(node: Any) -> FileInput:
    element = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return FileInput(name=node.name, shape=shape, dtype=NUMPY_TYPES.get(element, element))
