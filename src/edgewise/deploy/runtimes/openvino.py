"""OpenVINO on the CPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgewise.deploy.runtimes.formats import check_format, companion
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.op_times import WARM_UP_CALLS, undisturbed
from edgewise.deploy.runtimes.placement import counted
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.records.op_time import OpTime

RT_INFO = "edgewise"
"""The section of an IR's ``rt_info`` that holds our metadata."""
HINTS = {"fp32": "f32", "int8": "f32", "bf16": "bf16"}
"""What the CPU plugin may compute in, by the precision that a file says it was exported for."""

NO_WORK = {"Input", "Output", "Const"}


class OpenVinoSession:
    """A compiled IR."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self.inputs = tuple(_describe(port) for port in compiled.inputs)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs and outputs in the file's own order."""
        # the request reuses its output tensors: without a copy the next pass would change an earlier answer
        results = self._request.infer(list(arrays), share_inputs=True)
        return [array.copy() for array in results.values()]

    def placement(self) -> dict[str, int]:
        """Return how many operators of the compiled graph compute in which precision; constants and ports do not count."""
        infos = [operator.get_rt_info() for operator in self._compiled.get_runtime_model().get_ordered_ops()]
        return counted(str(info["runtimePrecision"].value) for info in infos if info["layerType"].value not in NO_WORK)

    def close(self) -> None:
        """Free the request."""
        self._request = self._compiled = None


class OpenVino:
    """Runs `.xml` files (IR, their weights in the `.bin` beside them) as one stream with a fixed number of threads."""

    name = "openvino"
    formats = ("openvino",)
    sdk = Sdk(package="openvino", module="openvino", install="'edgewise[openvino]'")

    def availability(self) -> Availability:
        """Say whether OpenVINO is installed."""
        return self.sdk.availability()

    def load(self, path: Path, options: RuntimeOptions) -> OpenVinoSession:
        """Load the IR at ``path``.

        It computes in float32 unless it was exported for bf16: left alone, OpenVINO takes bf16 wherever the processor has it,
        and answers then differ by half a percent without a word.

        Raises:
            InputError: the file is missing, is no IR, is damaged, or its weights are missing.
            MissingExtraError: OpenVINO is not installed.
        """
        return OpenVinoSession(self._compiled(path, options))

    def operator_times(
        self, path: Path, options: RuntimeOptions, arrays: Sequence[Array], num_calls: int
    ) -> list[OpTime]:
        """Return the time of each operator of the compiled graph that does something.

        Raises:
            InputError: as `load`.
            MissingExtraError: as `load`.
        """
        compiled = self._compiled(path, options, PERF_COUNT=True)
        request = compiled.create_infer_request()
        calls = []
        for _ in range(WARM_UP_CALLS + num_calls):
            request.infer(list(arrays), share_inputs=True)
            calls.append(list(request.profiling_info))
        names = [each.node_name for each in calls[0] if each.node_type not in NO_WORK]
        told = [{each.node_name: each.real_time.total_seconds() * 1e6 for each in call} for call in calls]
        times = undisturbed(np.array([[call[name] for name in names] for call in told[WARM_UP_CALLS:]]))
        numels = {
            op.get_friendly_name(): math.prod(op.output(0).get_shape()) if op.get_output_size() else 0
            for op in compiled.get_runtime_model().get_ordered_ops()
        }
        kinds = {each.node_name: each.node_type for each in calls[0]}
        return [
            OpTime(op=kinds[name], numel=numels.get(name, 0), us=float(us))
            for name, us in zip(names, times, strict=True)
            if us > 0
        ]

    def _compiled(self, path: Path, options: RuntimeOptions, **further: object) -> Any:
        check_format(path, self)
        companion(path)
        self.sdk.require()
        import openvino

        with loading(path, "OpenVINO"):
            core = openvino.Core()
            model = core.read_model(path)
            hint = HINTS.get(_stated_precision(model), "f32")
            settings = {
                "INFERENCE_NUM_THREADS": options.threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": hint,
                **further,
            }
            return core.compile_model(model, "CPU", settings)


def _stated_precision(model: Any) -> str:
    path = [RT_INFO, "precision"]
    return str(model.get_rt_info(path).value) if model.has_rt_info(path) else "fp32"


def _describe(port: Any) -> FileInput:
    shape = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return FileInput(name=port.get_any_name(), shape=shape, dtype=port.get_element_type().to_dtype().name)
