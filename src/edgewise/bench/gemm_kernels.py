"""Matrix products and 1 x 1 convolutions in several libraries: what a processor's peak is measured with.

Runtimes bring kernels of their own, and none is the fastest everywhere; the peak is what the best of them reaches. Convolutions of
3 x 3 are left out: some libraries compute them with fewer multiplications than they have (Winograd), which would be no peak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.deploy.runtimes.sdk import Sdk

Run = Callable[[], object]

SIDES = (192, 256, 384, 768)
"""Of square matrices: from what stays in the second cache to what streams through it."""
CHANNELS, PIXELS = 256, 28
"""Of the 1 x 1 convolution, as in the middle of a mobile network."""
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls bf16 arithmetic, on x86 and on ARM."""


class NotComputedError(Exception):
    """The library would compute in another precision here; its time would be no peak of this one."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One product in one library.

    Attributes:
        name: with the library and the shape.
        macs: of one call with one thread.
        prepare: makes the call for a number of threads; `NotComputedError` where this machine computes it otherwise.
        every_thread: whether each thread multiplies matrices of its own, so that a call with n threads has n times the `macs`.
    """

    name: str
    macs: int
    prepare: Callable[[int], Run]
    every_thread: bool = False

    def macs_of_call(self, threads: int) -> int:
        """Return the multiply-accumulates of one call."""
        return self.macs * threads if self.every_thread else self.macs


def kernels(library: str, precision: str) -> list[Kernel]:
    """Return the kernels that ``library`` (one of `LIBRARIES`) has in ``precision``; none where it has no such arithmetic."""
    return LIBRARIES[library].kernels(precision)


def _of_numpy(precision: str) -> list[Kernel]:
    if precision != "fp32":
        return []

    def prepare(side: int) -> Callable[[int], Run]:
        def prepared(threads: int) -> Run:
            runs = [_numpy_product(side) for _ in range(threads)]
            return runs[0] if threads == 1 else together(runs)

        return prepared

    return [Kernel(f"numpy matmul {_square(side)}", side**3, prepare(side), every_thread=True) for side in SIDES]


def together(runs: Sequence[Run]) -> Run:
    """Return a call that makes all ``runs`` at once, one thread each; they must let go of the interpreter's lock."""
    pool = ThreadPoolExecutor(len(runs))

    def run() -> None:
        for future in [pool.submit(each) for each in runs]:
            future.result()

    return run


def _numpy_product(side: int) -> Run:
    left, right = _matrices(side)
    out = np.empty_like(left)
    return lambda: np.matmul(left, right, out=out)


def _of_torch(precision: str) -> list[Kernel]:
    if precision not in ("fp32", "bf16"):
        return []

    def prepare(side: int) -> Callable[[int], Run]:
        def prepared(threads: int) -> Run:
            import torch

            if precision == "bf16" and not has_bf16():
                raise NotComputedError("this processor has no bf16 arithmetic; torch would take float32's")
            torch.set_num_threads(threads)
            kind = torch.float32 if precision == "fp32" else torch.bfloat16
            left, right = (torch.from_numpy(each).to(kind) for each in _matrices(side))
            out = torch.empty_like(left)
            return lambda: torch.mm(left, right, out=out)

        return prepared

    return [Kernel(f"torch mm {_square(side)}", side**3, prepare(side)) for side in SIDES]


def has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether Linux says that this processor multiplies bf16; False where it does not tell."""
    lines = cpuinfo.read_text(errors="replace").splitlines() if cpuinfo.exists() else []
    flags = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return bool(flags & BF16_FLAGS)


def _of_onnxruntime(precision: str) -> list[Kernel]:
    if precision not in ("fp32", "int8"):
        return []
    operators = {"fp32": ("MatMul", "Conv"), "int8": ("MatMulInteger", "QLinearConv")}[precision]
    products = [
        Kernel(f"onnxruntime {operators[0]} {_square(side)}", side**3, partial(_onnx_run, operators[0], side))
        for side in SIDES
    ]
    conv = Kernel(f"onnxruntime {operators[1]} {_conv()}", _conv_macs(), partial(_onnx_run, operators[1], 0))
    return [*products, conv]


def _onnx_run(operator: str, side: int, threads: int) -> Run:
    import onnxruntime as ort

    from edgewise.deploy.runtimes.onnxruntime import session_options
    from edgewise.deploy.runtimes.protocol import RuntimeOptions

    model, given = _onnx_model(operator, side)
    session = ort.InferenceSession(
        model, session_options(RuntimeOptions(threads=threads)), providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"x": given})


def _onnx_model(operator: str, side: int) -> tuple[bytes, Any]:
    """Return an ONNX file of one operator with constant weights, and its input."""
    from onnx import TensorProto, helper, numpy_helper

    is_int8 = operator in ("MatMulInteger", "QLinearConv")
    is_conv = operator in ("Conv", "QLinearConv")
    shape = (1, CHANNELS, PIXELS, PIXELS) if is_conv else (side, side)
    rng = np.random.default_rng(0)
    weight_shape = (CHANNELS, CHANNELS, 1, 1) if is_conv else (side, side)
    if is_int8:
        given, weight = rng.integers(0, 256, shape, np.uint8), rng.integers(-127, 128, weight_shape, np.int8)
    else:
        given, weight = rng.standard_normal(shape, np.float32), rng.standard_normal(weight_shape, np.float32)
    constants: dict[str, Any] = {"w": weight}
    names = ["x", "w"]
    if operator == "QLinearConv":
        # scales that keep most answers inside uint8, per output channel as real files have them
        constants |= {
            "xs": np.float32(0.02),
            "xz": np.uint8(128),
            "ws": np.full(CHANNELS, 0.01, np.float32),
            "wz": np.zeros(CHANNELS, np.int8),
            "ys": np.float32(0.2),
            "yz": np.uint8(128),
        }
        names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    made = {"MatMulInteger": TensorProto.INT32, "QLinearConv": TensorProto.UINT8}.get(operator, TensorProto.FLOAT)
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"])],
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.UINT8 if is_int8 else TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", made, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString(), given


def _of_openvino(precision: str) -> list[Kernel]:
    if precision not in OPENVINO_TYPES:
        return []
    products = [
        Kernel(f"openvino MatMul {_square(side)}", side**3, partial(_openvino_run, precision, side)) for side in SIDES
    ]
    conv = Kernel(f"openvino Convolution {_conv()}", _conv_macs(), partial(_openvino_run, precision, 0))
    return [*products, conv]


OPENVINO_TYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {"fp32": frozenset({"f32"}), "bf16": frozenset({"bf16"}), "int8": frozenset({"i8", "u8"})}
)
"""What the compiled graph calls the precision that a kernel computes in."""
MULTIPLYING = frozenset({"Convolution", "FullyConnected", "MatMul"})


def _openvino_run(precision: str, side: int, threads: int) -> Run:
    """Prepare a MatMul of ``side``, or the convolution where it is 0, and check what OpenVINO made of it.

    Raises:
        NotComputedError: it computes in another precision here.
    """
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    model, given = _openvino_model(precision, side)
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    infos = [operator.get_rt_info() for operator in compiled.get_runtime_model().get_ordered_ops()]
    computed = {str(info["runtimePrecision"].value) for info in infos if info["layerType"].value in MULTIPLYING}
    if not computed or not computed <= OPENVINO_TYPES[precision]:
        raise NotComputedError(f"OpenVINO computes {precision} in {', '.join(sorted(computed)) or 'no product'} here")
    request = compiled.create_infer_request()
    return lambda: request.infer([given], share_inputs=True)


def _openvino_model(precision: str, side: int) -> tuple[Any, Any]:
    import openvino
    from openvino import opset13 as ops

    shape = (side, side) if side else (1, CHANNELS, PIXELS, PIXELS)
    weights = (side, side) if side else (CHANNELS, CHANNELS, 1, 1)
    rng = np.random.default_rng(0)
    given = rng.random(shape, np.float32)
    parameter = ops.parameter(shape, np.float32, name="x")
    left: Any = parameter
    right: Any = ops.constant(rng.uniform(-1, 1, weights).astype(np.float32))
    if precision == "int8":
        # the way of saying int8 that OpenVINO's own quantiser writes: rounded to 256 steps, which the plugin computes in whole numbers
        left = ops.fake_quantize(left, *map(np.float32, (0, 1, 0, 1)), levels=256)
        right = ops.fake_quantize(right, *map(np.float32, (-1, 1, -1, 1)), levels=255)
    as_conv = ([1, 1], [0, 0], [0, 0], [1, 1])
    product = ops.matmul(left, right, False, False) if side else ops.convolution(left, right, *as_conv)
    return openvino.Model([product], [parameter], "peak"), given


def _matrices(side: int) -> Any:
    return np.random.default_rng(0).standard_normal((2, side, side), dtype=np.float32)


def _square(side: int) -> str:
    return f"{side} x {side} x {side}"


def _conv() -> str:
    return f"1 x 1, {CHANNELS} channels, {PIXELS} x {PIXELS}"


def _conv_macs() -> int:
    return CHANNELS * CHANNELS * PIXELS * PIXELS


@dataclass(frozen=True, slots=True)
class Library:
    """One library with what it has.

    Attributes:
        kernels: by precision; none where it has no such arithmetic.
        sdk: its package; None where Edgewise always brings it along.
    """

    kernels: Callable[[str], list[Kernel]]
    sdk: Sdk | None = None


LIBRARIES: Mapping[str, Library] = MappingProxyType(
    {
        "numpy": Library(_of_numpy),
        "onnxruntime": Library(_of_onnxruntime, get_runtime("onnxruntime").sdk),
        "openvino": Library(_of_openvino, get_runtime("openvino").sdk),
        "torch": Library(_of_torch, get_runtime("torch").sdk),
    }
)
