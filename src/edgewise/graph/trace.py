"""One forward pass as the list of operators that torch's dispatcher ran, with what each one read and wrote.

Counting starts from here and not from `graph.capture`, whose `torch.export` takes ten to a hundred times as long, refuses models that
count well, and names operators as its version decomposes them. The pass runs on the meta device, where tensors have shapes
and no memory; the model's own weights are neither read nor copied.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from edgewise.errors import InputError, shown

Source = Literal["input", "state", "call"]

NEEDS_VALUES: Final = frozenset(
    f"aten.{name}"
    for name in (
        "_local_scalar_dense",
        "_unique2",
        "bincount",
        "equal",
        "is_nonzero",
        "item",
        "masked_select",
        "nonzero",
        "unique_consecutive",
        "unique_dim",
    )
)
"""Operators whose answer, or its size, is no matter of shapes alone."""

SHAPED_LIKE_INPUT: Final = frozenset(
    f"aten.{name}{mark}"
    for name in (
        "elu",
        "gelu",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "mish",
        "relu",
        "sigmoid",
        "silu",
        "tanh",
    )
    for mark in ("", "_")
)
"""Functions of one tensor, element by element; their kernels on meta are Python programs that take long to find that out."""

ARITHMETIC: Final = frozenset(f"aten.{name}{mark}" for name in ("add", "div", "mul", "sub") for mark in ("", "_"))
"""Of which the same is true where the second tensor is of the same type, and broadcast to the first."""

MATMULS: Final = frozenset({"aten.addmm", "aten.bmm", "aten.mm"})
"""Of which the answer's shape is known too."""

BATCH_NORMS: Final = frozenset({"aten.native_batch_norm", "aten._native_batch_norm_legit_no_training"})
"""Of which the same is true in eval mode; beside the answer they return two statistics, then empty."""

SAME_MEMORY: Final = frozenset({"aten._unsafe_view", "aten._reshape_alias"})
"""Views whose schema does not say so."""


@dataclass(slots=True, eq=False)
class Buffer:
    """Memory that one or more values lie in."""

    number: int
    fixed: bool
    """Whether the same stands in it whatever the image is."""


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor at one moment of the pass."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: torch.dtype
    source: Source
    name: str = ""
    """Of the parameter or buffer in the model."""

    @property
    def numel(self) -> int:
        """Return the number of elements."""
        total = 1
        for size in self.shape:
            total *= size
        return total

    @property
    def fixed(self) -> bool:
        """Return whether it is the same whatever the image is: a weight, or computed from weights alone."""
        return self.buffer.fixed


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One operator of the pass."""

    op: str
    """As in ``aten.convolution``, without overload."""
    module: str
    """Dotted path of the module that called it; empty for the model itself."""
    args: tuple[Any, ...]
    """Positional arguments, with values in the place of tensors."""
    kwargs: Mapping[str, Any]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    is_view: bool
    """Whether the outputs lie in memory that was there before, and nothing is written."""
    writes_into: bool
    """Whether an input is overwritten."""
    fixed: bool
    """Whether all inputs are fixed: a deployed file holds the answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A whole forward pass in eval mode."""

    inputs: tuple[Value, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Value, ...]


class _ValueNeeded(Exception):  # noqa: N818 - always turned into one of ours
    """An operator asked what stands in a tensor."""

    def __init__(self, op: str, *, fixed: bool) -> None:
        super().__init__(op)
        self.op, self.fixed = op, fixed


class _Stopped(Exception):  # noqa: N818 - always turned into one of ours
    """A pass that did not come to its end, with what stopped it and where."""

    def __init__(self, reason: Exception, module: str) -> None:
        super().__init__(str(reason))
        self.reason, self.module = reason, module


def trace(model: nn.Module, shape: tuple[int, ...]) -> Trace:
    """Run ``model`` once in eval mode on an image of ``shape`` and return what the dispatcher saw.

    Args:
        model: any module that takes one tensor (N, C, H, W), on any device, with weights or on meta; its modes are restored.
        shape: (N, C, H, W).

    Raises:
        InputError: it cannot be run at this size, or its course depends on what the image shows; the message says where.
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    first = next((each for each in tensors.values() if each.is_floating_point()), None)
    dtype = torch.float32 if first is None else first.dtype
    real = [each for each in tensors.values() if each.device.type != "meta"]
    with _in_eval_mode(model), torch.no_grad():
        try:
            return _on_meta(model, torch.empty(shape, dtype=dtype, device="meta"), needs_copies=bool(real))
        except _Stopped as stopped:
            if isinstance(stopped.reason, _ValueNeeded) and not stopped.reason.fixed:
                raise _refusal(model, shape, stopped) from stopped.reason
            if not real:
                raise _refusal(model, shape, stopped) from stopped.reason
        # what reads its own weights, or makes tensors on a device of its own, is run as it is
        try:
            return _for_real(model, torch.zeros(shape, dtype=dtype, device=real[0].device))
        except _Stopped as stopped:
            raise _refusal(model, shape, stopped) from stopped.reason


def _on_meta(model: nn.Module, image: torch.Tensor, *, needs_copies: bool) -> Trace:
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    run: Callable[[torch.Tensor], Any] = model
    if needs_copies:
        copies = {id(each): torch.empty_like(each, device="meta") for each in state.values()}
        state = {name: copies[id(each)] for name, each in state.items()}
        run = functools.partial(_with_state, model, state)
    try:
        return _recorded(model, run, state, image)
    except _Stopped as stopped:
        if isinstance(stopped.reason, _ValueNeeded):
            raise
        with torch.device("meta"):  # for tensors that the model makes where nobody told it to; slower, thus second
            return _recorded(model, run, state, image)


def _with_state(model: nn.Module, state: dict[str, torch.Tensor], image: torch.Tensor) -> Any:
    return torch.func.functional_call(model, state, (image,))


def _for_real(model: nn.Module, image: torch.Tensor) -> Trace:
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return _recorded(model, model, state, image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _recorded(
    model: nn.Module, run: Callable[[torch.Tensor], Any], state: Mapping[str, torch.Tensor], image: torch.Tensor
) -> Trace:
    recorder = _Recorder(state)
    given = recorder.add_input(image)
    with _module_paths(model, recorder.path):
        try:
            with recorder:
                answer = run(image)
        except Exception as error:
            raise _Stopped(error, recorder.path[-1]) from error
    outputs = tuple(recorder.value_of(each) for each in tree_leaves(answer) if isinstance(each, torch.Tensor))
    return Trace((given,), tuple(recorder.calls), outputs)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down every operator with the module that called it."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: nothing here is compiled, and torch's wrapper against that costs seconds at the first call."""
        return False

    def __init__(self, state: Mapping[str, torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.path: list[str] = [""]
        self._num_buffers = 0
        self._state = {id(tensor): (name, tensor) for name, tensor in state.items()}
        self._known: dict[int, tuple[torch.Tensor, Value]] = {}

    def add_input(self, tensor: torch.Tensor) -> Value:
        """Note ``tensor`` as what the pass is given."""
        return self._remember(tensor, Value(self._buffer(fixed=False), tuple(tensor.shape), tensor.dtype, "input"))

    def value_of(self, tensor: torch.Tensor) -> Value:
        """Return the value that ``tensor`` has now; what no operator made is a constant of the model."""
        known = self._known.get(id(tensor))
        if known is not None and known[0] is tensor:
            return known[1]
        name = self._state[id(tensor)][0] if id(tensor) in self._state else ""
        return self._remember(tensor, Value(self._buffer(fixed=True), tuple(tensor.shape), tensor.dtype, "state", name))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        kwargs = kwargs or {}
        inputs_found: list[Value] = []
        known_args = tuple(self._known_argument(each, inputs_found) for each in args)
        known_kwargs = {name: self._known_argument(each, inputs_found) for name, each in kwargs.items()}
        inputs = tuple(inputs_found)
        op = str(func.overloadpacket) if isinstance(func, OpOverload) else str(func)
        fixed = all(each.fixed for each in inputs)
        if op in NEEDS_VALUES or (op == "aten.index" and any(each.dtype == torch.bool for each in inputs[1:])):
            on_meta = any(each.device.type == "meta" for each in args if isinstance(each, torch.Tensor))
            if on_meta or not fixed:
                raise _ValueNeeded(op, fixed=fixed)
        answer = self._answer(func, op, args, kwargs)
        position, name, written = _shared_argument(func)
        shared = known_args[position] if position is not None and position < len(args) else known_kwargs.get(name)
        home = shared.buffer if isinstance(shared, Value) else None
        if home is not None and written and not fixed:
            home.fixed = False
        made = answer if isinstance(answer, (tuple, list)) else (answer,)
        outputs = tuple(
            self._remember(each, Value(home or self._buffer(fixed), tuple(each.shape), each.dtype, "call"))
            for each in made
            if isinstance(each, torch.Tensor)
        )
        call = Call(
            op=op,
            module=self.path[-1],
            args=known_args,
            kwargs=known_kwargs,
            inputs=inputs,
            outputs=outputs,
            is_view=home is not None and not written,
            writes_into=written,
            fixed=fixed,
        )
        self.calls.append(call)
        return answer

    @staticmethod
    def _answer(func: Any, op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        first = args[0] if args else None
        if isinstance(first, torch.Tensor) and first.device.type == "meta":
            if op in SHAPED_LIKE_INPUT or (op in ARITHMETIC and _alike(first, args[1])):
                return first if op.endswith("_") else torch.empty_like(first)
            if op in MATMULS and _fit(*args[-2:]):
                return args[-2].new_empty((*args[-2].shape[:-1], args[-1].shape[-1]))
            if op in BATCH_NORMS and not (op == "aten.native_batch_norm" and args[5]):
                return torch.empty_like(first), first.new_empty(0), first.new_empty(0)
        return func(*args, **kwargs)

    def _buffer(self, fixed: bool) -> Buffer:
        self._num_buffers += 1
        return Buffer(self._num_buffers - 1, fixed)

    def _remember(self, tensor: torch.Tensor, value: Value) -> Value:
        self._known[id(tensor)] = (tensor, value)
        return value

    def _known_argument(self, given: Any, found: list[Value]) -> Any:
        """Return ``given`` with values in the place of tensors, which are added to ``found``."""
        if isinstance(given, torch.Tensor):
            value = self.value_of(given)
            found.append(value)
            return value
        if isinstance(given, (list, tuple)):
            return tuple(self._known_argument(each, found) for each in given)
        return given


def _alike(first: torch.Tensor, second: Any) -> bool:
    if not first.is_floating_point():
        return False
    if isinstance(second, torch.Tensor):
        if first.dtype != second.dtype or second.device != first.device or second.dim() > first.dim():
            return False
        ends = first.shape[first.dim() - second.dim() :]
        return all(theirs in (1, ours) for ours, theirs in zip(ends, second.shape, strict=True))
    return isinstance(second, (int, float)) and not isinstance(second, bool)


def _fit(first: torch.Tensor, second: torch.Tensor) -> bool:
    ours, theirs = first.shape, second.shape
    alike = first.dtype == second.dtype and first.device == second.device
    return alike and ours[:-2] == theirs[:-2] and ours[-1] == theirs[-2]


@functools.cache
def _shared_argument(func: Any) -> tuple[int | None, str, bool]:
    """Return which argument's memory the answer of ``func`` lies in, by position and by name, and whether it is overwritten.

    The position is None where the answer lies in memory of its own.
    """
    if not isinstance(func, OpOverload):
        return None, "", False
    if str(func.overloadpacket) in SAME_MEMORY:
        return 0, "self", False
    infos = [each.alias_info for each in func._schema.returns if each.alias_info is not None]
    homes = [(place, each.name) for place, each in enumerate(func._schema.arguments) if each.alias_info is not None]
    if not infos or not homes:
        return None, "", False
    return *homes[0], any(info.is_write for info in infos)


@contextmanager
def _module_paths(model: nn.Module, path: list[str]) -> Iterator[None]:
    """Keep the dotted path of the running module at the end of ``path``."""
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue

        def enter(_module: nn.Module, _given: Any, name: str = name) -> None:
            path.append(name)

        def leave(_module: nn.Module, _given: Any, _answer: Any) -> None:
            path.pop()

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _refusal(model: nn.Module, shape: tuple[int, ...], stopped: _Stopped) -> InputError:
    name, reason = type(model).__name__, stopped.reason
    where = f" in {stopped.module or 'the model itself'}{_line_of(reason)}"
    if not isinstance(reason, _ValueNeeded):
        said = next((line.strip() for line in str(reason).splitlines() if line.strip()), type(reason).__name__)
        return InputError(f"{name} cannot be captured at {shape}: {shown(said, 200)},{where}")
    if reason.fixed:
        return InputError(f"{name} cannot be counted on meta: {reason.op} asks for values of weights,{where}")
    return InputError(f"{name} cannot be counted: its course depends on what the image shows; {reason.op} asks{where}")


def _line_of(error: Exception) -> str:
    """Return file, line and text of the innermost frame outside torch and this file; empty where there is none."""
    torch_home = str(Path(torch.__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((torch_home, "<")) and frame.filename != __file__
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f", {Path(last.filename).name} line {last.lineno}: {shown(last.line or '', 80)}"
