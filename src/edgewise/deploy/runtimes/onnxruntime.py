"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.onnx_file import external_files
from edgewise.deploy.runtimes.op_times import WARM_UP_CALLS, undisturbed
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.records.op_time import OpTime

ONLY_ERRORS = 3
NCHWC = "com.microsoft.nchwc"
"""The domain of operators on maps in blocks of channels."""
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

    def operator_times(
        self, path: Path, options: RuntimeOptions, arrays: Sequence[Array], num_calls: int
    ) -> list[OpTime]:
        """Return the time of each node of the optimised graph.

        Raises:
            InputError: as `load`.
            MissingExtraError: as `load`.
        """
        self.sdk.require()
        import onnxruntime as ort

        settings = session_options(options)
        settings.enable_profiling = True
        with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
            settings.profile_file_prefix = str(Path(folder) / "profile")
            with loading(path, "ONNX Runtime"):
                inner = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
            session = OnnxRuntimeSession(inner)
            for _ in range(WARM_UP_CALLS + num_calls):
                session.run(arrays)
            events = json.loads(Path(inner.end_profiling()).read_bytes())
        ran = [each for each in events if each["cat"] == "Node" and each["name"].endswith("_kernel_time")]
        num_nodes = len(ran) // (WARM_UP_CALLS + num_calls)
        times = np.array([each["dur"] for each in ran], float).reshape(-1, num_nodes)[WARM_UP_CALLS:]
        return [
            OpTime(op=each["args"]["op_name"], numel=_numel(each["args"]["output_type_shape"]), us=float(us))
            # what is told are whole µs, rounded down
            for each, us in zip(ran, undisturbed(times) + 0.5, strict=False)
        ]


def _numel(outputs: Sequence[Mapping[str, Sequence[int]]]) -> int:
    """Return the elements of the first of a node's outputs, which are told as ``[{"float": [1, 16, 112, 112]}]``."""
    return math.prod(next(iter(outputs[0].values()))) if outputs else 0


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


@lru_cache
def channel_block() -> int:
    """Return how many channels ONNX Runtime lays side by side in maps on this processor: 16 with AVX-512, 8 with AVX2, 0 for none.

    It is read off the weights of a convolution to one channel, which the runtime fills up to a whole block.

    Raises:
        MissingExtraError: ONNX Runtime or onnx is not installed.
    """
    OnnxRuntime.sdk.require()
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    maps = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in "xy"]
    weight = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "conv", maps[:1], maps[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with tempfile.TemporaryDirectory(prefix="edgewise-") as folder:
        path = Path(folder) / "optimised.onnx"
        settings = session_options(RuntimeOptions())
        settings.optimized_model_filepath = str(path)
        ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        optimised = onnx.load(path).graph
    blocked = {
        name for node in optimised.node if node.domain == NCHWC and node.op_type == "Conv" for name in node.input
    }
    return next((int(each.dims[0]) for each in optimised.initializer if each.name in blocked), 0)


def _describe(node: Any) -> FileInput:
    element = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return FileInput(name=node.name, shape=shape, dtype=NUMPY_TYPES.get(element, element))
