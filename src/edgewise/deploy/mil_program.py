"""A Core ML package computed by torch, operator by operator: what can be said of its answers where Core ML does not run.

Each operator does what Apple's reference says of it (coremltools, `converters/mil/mil/ops/defs`), whoever wrote the package. All is
computed in float32, also where the package says float16: its weights are those of the package, its rounding on a device is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.protocol import Array

Tensor = torch.Tensor
Given = Mapping[str, Any]
"""An operator's inputs by their names in MIL: tensors, numpy constants, strings, tuples of tensors; what was left out is absent."""
WEIGHTS = Path("Data", "com.apple.CoreML", "weights")


class UnknownOperatorError(LookupError):
    """A program holds an operator that is not in the table."""


def load_program(path: Path) -> Any:
    """Return coremltools' form of the program in the package at ``path``, with its weights."""
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto import load as milproto

    spec = ct.utils.load_spec(str(path))
    return milproto.load(spec, spec.specificationVersion, str(path / WEIGHTS))


class MilSession:
    """A program that is ready to be computed; meets the protocol of a runtime's session."""

    def __init__(self, program: Any) -> None:
        self._function = program.functions["main"]
        self.inputs = tuple(
            FileInput(name=name, shape=tuple(_size(each) for each in value.shape), dtype="float32")
            for name, value in self._function.inputs.items()
        )

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Compute one forward pass; inputs and outputs in the program's own order.

        Raises:
            UnknownOperatorError: an operator is not in the table, or is used in a way that the table does not have.
        """
        with torch.inference_mode():
            known: dict[Any, Any] = dict(zip(self._function.inputs.values(), map(_tensor, arrays), strict=True))
            for op in self._function.operations:
                _compute(op, known)
            return [known[each].numpy() for each in self._function.outputs]

    def close(self) -> None:
        """Free the program."""
        self._function = None


def _size(given: Any) -> int | None:
    return int(given) if isinstance(given, int | np.integer) else None


def _compute(op: Any, known: dict[Any, Any]) -> None:
    if op.op_type == "const":
        known[op.outputs[0]] = op.outputs[0].val
        return
    if op.op_type not in OPERATORS:
        raise UnknownOperatorError(f"no rule for Core ML's operator {op.op_type}")
    given = {name: _value(each, known) for name, each in op.inputs.items() if each is not None}
    results = OPERATORS[op.op_type](given)
    known |= zip(op.outputs, results if isinstance(results, tuple) else (results,), strict=True)


def _value(given: Any, known: Mapping[Any, Any]) -> Any:
    if isinstance(given, list | tuple):
        return tuple(_value(each, known) for each in given)
    return known[given]


def _tensor(value: Any) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    return tensor.float() if tensor.is_floating_point() else tensor


def _ints(value: Any) -> list[int]:
    return [int(each) for each in np.atleast_1d(np.asarray(value))]


def _pads(given: Given, kernel: Sequence[int], dilations: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return (top, bottom, left, right)."""
    kind = str(given["pad_type"])
    if kind == "valid":
        return [0, 0, 0, 0]
    if kind == "custom":
        return _ints(given["pad"])
    pads = []
    for size, width, dilation, stride in zip(given["x"].shape[2:], kernel, dilations, strides, strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        first = total // 2 if kind == "same" else total - total // 2
        pads += [first, total - first]
    return pads


def _conv(given: Given) -> Tensor:
    x, weight = _tensor(given["x"]), _tensor(given["weight"])
    if x.ndim != 4:
        raise UnknownOperatorError(f"no rule for a convolution of {x.ndim - 2} dimensions")
    strides, dilations = _ints(given["strides"]), _ints(given["dilations"])
    top, bottom, left, right = _pads(given, weight.shape[2:], dilations, strides)
    bias = _tensor(given["bias"]) if "bias" in given else None
    padded = F.pad(x, (left, right, top, bottom))
    return F.conv2d(padded, weight, bias, strides, 0, dilations, int(given["groups"]))


def _avg_pool(given: Given) -> Tensor:
    kernel, strides = _ints(given["kernel_sizes"]), _ints(given["strides"])
    top, bottom, left, right = _pads(given, kernel, [1, 1], strides)
    if bool(given["ceil_mode"]):
        raise UnknownOperatorError("no rule for a pooling that rounds up")
    x = _tensor(given["x"])
    around = (left, right, top, bottom)
    sums = F.avg_pool2d(F.pad(x, around), kernel, strides)
    if not bool(given["exclude_padding_from_average"]):
        return sums
    return sums / F.avg_pool2d(F.pad(torch.ones_like(x), around), kernel, strides)


def _max_pool(given: Given) -> Tensor:
    kernel, strides = _ints(given["kernel_sizes"]), _ints(given["strides"])
    top, bottom, left, right = _pads(given, kernel, [1, 1], strides)
    if bool(given["ceil_mode"]):
        raise UnknownOperatorError("no rule for a pooling that rounds up")
    return F.max_pool2d(F.pad(_tensor(given["x"]), (left, right, top, bottom), value=-math.inf), kernel, strides)


def _pad(given: Given) -> Tensor:
    x, pad = _tensor(given["x"]), _ints(given["pad"])
    pairs = [pad[index : index + 2] for index in range(0, len(pad), 2)]
    around = [side for pair in reversed(pairs) for side in pair]
    mode = str(given["mode"])
    if mode == "constant":
        return F.pad(x, around, value=float(given["constant_val"]))
    if mode not in {"reflect", "replicate"} or any(around[4:]):
        raise UnknownOperatorError(f"no rule for padding by {mode} of more than the last two axes")
    return F.pad(x, around[:4], mode=mode)


def _matmul(given: Given) -> Tensor:
    x, y = (
        _tensor(given[name]).mT if bool(given[f"transpose_{name}"]) else _tensor(given[name]) for name in ("x", "y")
    )
    return x @ y


def _gelu(given: Given) -> Tensor:
    mode = str(given["mode"])
    if mode == "SIGMOID_APPROXIMATION":
        return _tensor(given["x"]) * torch.sigmoid(1.702 * _tensor(given["x"]))
    return F.gelu(_tensor(given["x"]), approximate="none" if mode == "EXACT" else "tanh")


def _prelu(given: Given) -> Tensor:
    x, alpha = _tensor(given["x"]), _tensor(given["alpha"])
    return torch.where(x >= 0, x, x * alpha.view(-1, *[1] * (x.ndim - 2)))


def _thresholded(x: Tensor, least: float) -> Tensor:
    return torch.where(x >= least, x, 0.0)


def _batch_norm(given: Given) -> Tensor:
    gamma, beta = (_tensor(given[name]) if name in given else None for name in ("gamma", "beta"))
    mean, variance = _tensor(given["mean"]), _tensor(given["variance"])
    return F.batch_norm(_tensor(given["x"]), mean, variance, gamma, beta, eps=float(given["epsilon"]))


def _layer_norm(given: Given) -> Tensor:
    x, axes = _tensor(given["x"]), _ints(given["axes"])
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
    normed = (x - mean) / (variance + float(given["epsilon"])).sqrt()
    gamma, beta = given.get("gamma", 1.0), given.get("beta", 0.0)
    return normed * _tensor(gamma) + _tensor(beta)


def _split(given: Given) -> tuple[Tensor, ...]:
    x, axis = _tensor(given["x"]), int(given["axis"])
    if "split_sizes" in given:
        return torch.split_with_sizes(x, _ints(given["split_sizes"]), axis)
    return x.chunk(int(given["num_splits"]), axis)


def _slice(given: Given) -> Tensor:
    x = _tensor(given["x"])
    masks = {
        name: np.atleast_1d(given[name]) if name in given else [False] * x.ndim
        for name in ("begin_mask", "end_mask", "squeeze_mask")
    }
    strides = _ints(given["stride"]) if "stride" in given else [1] * x.ndim
    if min(strides) < 1:
        raise UnknownOperatorError("no rule for a slice that runs backwards")
    place: list[int | slice] = []
    for axis, (begin, end) in enumerate(zip(_ints(given["begin"]), _ints(given["end"]), strict=True)):
        first, last = (None if masks["begin_mask"][axis] else begin), (None if masks["end_mask"][axis] else end)
        place.append(begin if masks["squeeze_mask"][axis] else slice(first, last, strides[axis]))
    return x[tuple(place)]


def _reshape(given: Given) -> Tensor:
    x = _tensor(given["x"])
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(_ints(given["shape"]))]
    return x.reshape(sizes)


def _squeeze(given: Given) -> Tensor:
    return _tensor(given["x"]).squeeze(tuple(_ints(given["axes"])))


def _expand(given: Given) -> Tensor:
    x, axes = _tensor(given["x"]), _ints(given["axes"])
    for axis in sorted(each % (x.ndim + len(axes)) for each in axes):
        x = x.unsqueeze(axis)
    return x


def _concat(given: Given) -> Tensor:
    if bool(given.get("interleave", False)):
        raise UnknownOperatorError("no rule for an interleaving concat")
    return torch.cat([_tensor(each) for each in given["values"]], int(given["axis"]))


def _cast(given: Given) -> Tensor:
    kind = str(given["dtype"])
    return _tensor(given["x"]) if kind.startswith("fp") else _tensor(given["x"]).to(torch.int64)


def _one(function: Callable[[Tensor], Tensor]) -> Callable[[Given], Tensor]:
    return lambda given: function(_tensor(given["x"]))


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Given], Tensor]:
    return lambda given: function(_tensor(given["x"]), _tensor(given["y"]))


def _reduced(function: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[[Given], Tensor]:
    return lambda given: function(_tensor(given["x"]), _ints(given["axes"]), bool(given["keep_dims"]))


OPERATORS: Mapping[str, Callable[[Given], Tensor | tuple[Tensor, ...]]] = MappingProxyType(
    {
        "add": _two(torch.add),
        "sub": _two(torch.sub),
        "mul": _two(torch.mul),
        "real_div": _two(torch.true_divide),
        "pow": _two(torch.pow),
        "maximum": _two(torch.maximum),
        "minimum": _two(torch.minimum),
        "matmul": _matmul,
        "linear": lambda given: F.linear(
            _tensor(given["x"]), _tensor(given["weight"]), _tensor(given["bias"]) if "bias" in given else None
        ),
        "conv": _conv,
        "avg_pool": _avg_pool,
        "max_pool": _max_pool,
        "pad": _pad,
        "batch_norm": _batch_norm,
        "layer_norm": _layer_norm,
        "relu": _one(torch.relu),
        "relu6": _one(F.relu6),
        "clip": lambda given: _tensor(given["x"]).clamp(float(given["alpha"]), float(given["beta"])),
        "thresholded_relu": lambda given: _thresholded(_tensor(given["x"]), float(given["alpha"])),
        "prelu": _prelu,
        "leaky_relu": lambda given: F.leaky_relu(_tensor(given["x"]), float(given["alpha"])),
        "sigmoid": _one(torch.sigmoid),
        "sigmoid_hard": lambda given: (_tensor(given["x"]) * float(given["alpha"]) + float(given["beta"])).clamp(0, 1),
        "silu": _one(F.silu),
        "gelu": _gelu,
        "tanh": _one(torch.tanh),
        "softplus": _one(F.softplus),
        "softmax": lambda given: _tensor(given["x"]).softmax(int(given["axis"])),
        "exp": _one(torch.exp),
        "erf": _one(torch.erf),
        "sqrt": _one(torch.sqrt),
        "square": _one(torch.square),
        "abs": _one(torch.abs),
        "reduce_mean": _reduced(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
        "reduce_sum": _reduced(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
        "reduce_max": _reduced(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
        "reshape": _reshape,
        "transpose": lambda given: _tensor(given["x"]).permute(_ints(given["perm"])),
        "squeeze": _squeeze,
        "expand_dims": _expand,
        "concat": _concat,
        "split": _split,
        "slice_by_index": _slice,
        "tile": lambda given: _tensor(given["x"]).repeat(_ints(given["reps"])),
        "identity": _one(lambda x: x),
        "cast": _cast,
    }
)
"""What each operator of MIL computes, for the operators that image classifiers are made of."""
