"""From the operators of a pass to the kernels that a runtime runs, by a fusion model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edgewise.cost.fusion import FusionModel
from edgewise.cost.op_table import kind_of
from edgewise.graph.trace import Buffer, Call, Trace, Value
from edgewise.records.cost import CONVS, MATMULS, OpKind

MULTIPLYING: Final = CONVS | MATMULS
CHANNELWISE: Final = frozenset({"aten.add", "aten.sub", "aten.mul", "aten.div"})
PLAIN: Final = frozenset({"elementwise", "pool", "reduce"})


@dataclass(slots=True, eq=False)
class Slot:
    """A tensor of the fused graph: all values that are the same elements in the same order."""

    value: Value
    """The one that it was made as."""
    fixed: bool = False
    is_input: bool = False
    is_output: bool = False


@dataclass(slots=True, eq=False)
class Kernel:
    """One kernel with its operators and the tensors that it reads and writes."""

    kind: OpKind
    place: int
    """Of the operator that it is there for, in the pass."""
    calls: list[int]
    """Places of its operators in the pass; empty where a runtime adds the kernel of itself."""
    reads: dict[Slot, Value]
    """Activations, each with the widest view of it that is read."""
    weights: dict[Slot, Value]
    writes: list[Slot]
    has_bias: bool = True
    """False while a norm that is folded in would add a bias."""
    num_added_biases: int = 0
    """Elements of it."""
    sealed: bool = False
    """Whether an activation function or an addition stands at its end, behind which no norm can be folded."""
    activated: bool = False
    overwrites: Slot | None = None
    """Whose memory the output takes."""
    scratch: int = 0
    """Elements needed on the way, of the output's type."""
    block: int = 0
    """Channels of a block of the layout that it writes; 0 for plain maps."""


@dataclass(slots=True, eq=False)
class FusedGraph:
    """All kernels in the order in which they run."""

    kernels: list[Kernel] = field(default_factory=list)
    slots: dict[Value, Slot] = field(default_factory=dict)
    inputs: list[Slot] = field(default_factory=list)
    outputs: list[Slot] = field(default_factory=list)

    def slot_of(self, value: Value) -> Slot:
        """Return the slot of ``value``; a weight gets one when it is first asked for."""
        if value not in self.slots:
            self.slots[value] = Slot(value, fixed=value.fixed)
        return self.slots[value]


@dataclass(slots=True, eq=False)
class _Step:
    """An operator that does something."""

    place: int
    call: Call
    kind: OpKind
    reads: dict[Slot, Value]
    weights: dict[Slot, Value]
    writes: list[Slot]


def fused_graph(trace: Trace, fusion: FusionModel) -> FusedGraph:
    """Join the operators of ``trace`` to kernels as ``fusion`` says."""
    graph = FusedGraph()
    for value in trace.inputs:
        graph.slots[value] = Slot(value, is_input=True)
    graph.inputs = [graph.slots[value] for value in trace.inputs]
    steps = _steps(trace, fusion, graph)
    graph.outputs = [slot for value in trace.outputs if not (slot := graph.slot_of(value)).fixed]
    for slot in graph.outputs:
        slot.is_output = True
    num_readers = Counter(slot for step in steps for slot in step.reads)
    makers: dict[Slot, int] = {}
    if fusion.turns_input and steps:
        graph.kernels += _turned_inputs(graph, steps)
    for step in steps:
        if fusion.pads_apart and (padded := _padded(step)) is not None:
            graph.kernels.append(padded)
        host = _host(step, graph, makers, num_readers, fusion)
        if host is None:
            kernel = _new_kernel(step, fusion)
            graph.kernels.append(kernel)
        else:
            kernel = graph.kernels[host]
            _join(kernel, step)
        for slot in step.writes:
            makers[slot] = len(graph.kernels) - 1 if host is None else host
    return graph


def _steps(trace: Trace, fusion: FusionModel, graph: FusedGraph) -> list[_Step]:
    """Return the operators that do something, once views and what is computed from weights alone are out of the way."""
    steps = []
    broadcast: set[Value] = set()
    filled_in_parts = _filled_in_parts(trace)
    pads = _pads_of_convs(trace) if fusion.joins_pads else set()
    for place, call in enumerate(trace.calls):
        kind = kind_of(call)
        if kind in ("constant", "check") or not call.outputs:
            continue
        in_parts = bool(call.inputs) and call.inputs[0].buffer in filled_in_parts
        if all(value.fixed for value in call.inputs) and kind not in MULTIPLYING:
            _hold(call, graph)
        elif call.outputs[0] in pads:
            graph.slots[call.outputs[0]] = graph.slot_of(call.inputs[0])
        elif _is_nothing(call, kind, fusion, in_broadcast=call.inputs[0] in broadcast, in_parts=in_parts):
            source = graph.slot_of(call.inputs[0])
            for value in call.outputs:
                graph.slots[value] = source
            if call.op == "aten.expand" or call.inputs[0] in broadcast:
                broadcast.update(call.outputs)
        else:
            steps.append(_step(place, call, kind or "elementwise", graph, in_parts=in_parts))
    return steps


def _filled_in_parts(trace: Trace) -> set[Buffer]:
    """Return the buffers of which a part is overwritten, as in ``out[:, :8] = x``: to those that read them they are one tensor."""
    parts: set[Value] = set()
    found: set[Buffer] = set()
    for call in trace.calls:
        if call.is_view and (kind_of(call) in ("cut", "turn") or call.inputs[0] in parts):
            parts.update(call.outputs)
        elif call.writes_into and call.inputs[0] in parts:
            found.add(call.inputs[0].buffer)
    return found


def _pads_of_convs(trace: Trace) -> set[Value]:
    """Return the maps with zeros around them that only convolutions read."""
    pads = {call.outputs[0] for call in trace.calls if call.op == "aten.constant_pad_nd" and not any(call.args[2:3])}
    others = (call for call in trace.calls if call.op != "aten.convolution")
    return pads - {value for call in others for value in call.inputs} - set(trace.outputs)


def _is_nothing(call: Call, kind: OpKind | None, fusion: FusionModel, *, in_broadcast: bool, in_parts: bool) -> bool:
    if kind in ("turn", "cut"):
        return fusion.views_are_free or in_parts or _moves_nothing(call)
    # a copy of what was transposed is that transposition, which has been counted
    return kind == "view" or (kind == "copy" and not fusion.views_are_free and not in_broadcast)


def _moves_nothing(call: Call) -> bool:
    """Return whether a view leaves all elements in their order: one of the whole, or one that only turns sides of length 1."""
    before = call.inputs[0].shape
    if kind_of(call) == "cut":
        return len(call.outputs) == 1 and call.outputs[0].numel == call.inputs[0].numel
    order = list(range(len(before)))
    if call.op == "aten.permute":
        order = [side % len(before) for side in call.args[1]]
    elif len(before) > 1:
        one, other = call.args[1:3] if call.op == "aten.transpose" else (0, 1)
        order[one], order[other] = order[other], order[one]
    longer = [side for side in order if before[side] > 1]
    return longer == sorted(longer)


def _hold(call: Call, graph: FusedGraph) -> None:
    """Note the answer as a constant; one that only looks at a whole weight stays that weight."""
    for value in call.outputs:
        source = graph.slot_of(call.inputs[0]) if call.is_view and call.inputs else None
        same = source is not None and source.value.numel == value.numel
        graph.slots[value] = source if source is not None and same else Slot(value, fixed=True)


def _step(place: int, call: Call, kind: OpKind, graph: FusedGraph, *, in_parts: bool) -> _Step:
    reads: dict[Slot, Value] = {}
    weights: dict[Slot, Value] = {}
    for value in call.inputs:
        slot = graph.slot_of(value)
        held = weights if slot.fixed else reads
        if slot not in held or held[slot].numel < value.numel:
            held[slot] = value
    for value in call.outputs:
        # what is written into a part of a tensor is that tensor, for all that read it later
        graph.slots[value] = graph.slot_of(call.inputs[0]) if call.writes_into and in_parts else Slot(value)
    writes = list(dict.fromkeys(graph.slots[value] for value in call.outputs))
    for slot in writes:
        slot.fixed = False
    return _Step(place, call, kind, reads, weights, writes)


def _new_kernel(step: _Step, fusion: FusionModel) -> Kernel:
    name = _plain_name(step.call.op)
    kernel = Kernel(step.kind, step.place, [step.place], dict(step.reads), dict(step.weights), list(step.writes))
    if step.kind in MULTIPLYING:
        kernel.has_bias = any(len(value.shape) == 1 for value in step.weights.values())
    kernel.sealed = kernel.activated = step.kind == "activation"
    kernel.scratch = fusion.scratch.get(name, 0) * step.writes[0].value.numel
    if fusion.unrolls_windows and step.kind in ("conv", "pointwise"):
        kernel.scratch = _unrolled(step.call)
    if name in fusion.overwrites and step.reads:
        kernel.overwrites = next(iter(step.reads))
    return kernel


def _turned_inputs(graph: FusedGraph, steps: list[_Step]) -> list[Kernel]:
    """Let all steps read copies of the images with the channels last, and return the kernels that make them."""
    kernels = []
    for image in graph.inputs:
        if len(image.value.shape) == 4 and image.value.shape[1] > 1:
            turned = Slot(another(image.value, image.value.shape))
            kernels.append(Kernel("turn", steps[0].place, [], {image: image.value}, {}, [turned]))
            for step in steps:
                step.reads = {turned if slot is image else slot: value for slot, value in step.reads.items()}
    return kernels


def _padded(step: _Step) -> Kernel | None:
    """Let a convolution read a padded copy of its input where TensorFlow's SAME is other padding, and return the kernel that makes it."""
    if step.call.op != "aten.convolution" or step.call.args[6] or not any(step.call.args[4]):
        return None
    image, weight = step.call.inputs[:2]
    sides = list(
        zip(image.shape[2:], weight.shape[2:], *(_each(step.call.args[at], image) for at in (3, 4, 5)), strict=True)
    )
    if all(_is_same(*side) for side in sides):
        return None
    shape = (*image.shape[:2], *(side + 2 * pad for side, _, _, pad, _ in sides))
    padded = Slot(another(image, shape))
    (source,) = step.reads
    step.reads = {padded: padded.value}
    return Kernel("move", step.place, [], {source: image}, {}, [padded])


def _is_same(side: int, window: int, stride: int, pad: int, dilation: int) -> bool:
    wide = (math.ceil(side / stride) - 1) * stride + dilation * (window - 1) + 1 - side
    return max(wide, 0) == 2 * pad


def _each(given: Sequence[int], image: Value) -> Sequence[int]:
    return given if len(given) > 1 else [*given] * (len(image.shape) - 2)


def another(like: Value, shape: tuple[int, ...]) -> Value:
    """Return a tensor of the same type in memory of its own."""
    return Value(Buffer(-1, fixed=False), shape, like.dtype, "call")


def _unrolled(call: Call) -> int:
    """Return the elements of all windows of a convolution side by side; 0 where each window is one element of a map in its order."""
    weight, answer = call.inputs[1], call.outputs[0]
    moves_on = any(step != 1 for step in (*call.args[3], *call.args[5])) or math.prod(weight.shape[2:]) > 1
    return answer.numel // answer.shape[1] * math.prod(weight.shape[1:]) if moves_on else 0


def _host(
    step: _Step, graph: FusedGraph, makers: dict[Slot, int], num_readers: Counter[Slot], fusion: FusionModel
) -> int | None:
    """Return the number of the kernel that ``step`` joins; None where it is one of its own."""
    if not step.reads or len(step.writes) == 0:
        return None
    # of several inputs the one that is made last: only there do all the others exist
    number, slot = max(((makers.get(slot, -1), slot) for slot in step.reads), key=lambda each: each[0])
    if number < 0 or num_readers[slot] > 1 or slot.is_output:
        return None
    kernel = graph.kernels[number]
    if slot not in kernel.writes or (len(kernel.writes) > 1 and kernel.writes[0] is not slot):
        return None
    return number if _may_join(kernel, step, fusion) else None


def _may_join(kernel: Kernel, step: _Step, fusion: FusionModel) -> bool:
    multiplies = kernel.kind in MULTIPLYING and kernel.kind != "attention"
    if step.kind == "norm":
        return fusion.folds_norms and multiplies and not kernel.sealed and _is_batch_norm(step.call)
    if step.kind == "activation":
        takes = multiplies or (fusion.joins_elementwise and kernel.kind in PLAIN)
        return takes and not kernel.activated and _plain_name(step.call.op) in fusion.activations
    if step.kind == "elementwise" and step.call.op.removesuffix("_") in CHANNELWISE and multiplies:
        if len(step.reads) == 1:
            return fusion.folds_norms and not kernel.sealed and _is_per_channel(step)
        is_sum = step.call.op.removesuffix("_") == "aten.add" and _same_shapes(step)
        return fusion.joins_residual and is_sum and not kernel.activated and not kernel.sealed
    return False


def _join(kernel: Kernel, step: _Step) -> None:
    kernel.calls.append(step.place)
    inner = next(slot for slot in step.reads if slot in kernel.writes)
    for slot, value in step.reads.items():
        if slot is not inner:
            kernel.reads.setdefault(slot, value)
    folded = step.kind == "norm" or (len(step.reads) == 1 and step.kind == "elementwise")
    if not folded:
        kernel.weights.update(step.weights)
    elif not kernel.has_bias and (step.kind == "norm" or step.call.op.startswith(("aten.add", "aten.sub"))):
        kernel.has_bias = True
        kernel.num_added_biases = _num_channels(kernel, step)
    kernel.writes = list(step.writes)
    kernel.activated |= step.kind == "activation"
    kernel.sealed |= not folded


def _num_channels(kernel: Kernel, step: _Step) -> int:
    shape = step.call.outputs[0].shape
    return shape[1] if kernel.kind in CONVS and len(shape) > 1 else shape[-1]


def _is_batch_norm(call: Call) -> bool:
    return "batch_norm" in call.op and all(value.fixed for value in call.inputs[1:])


def _is_per_channel(step: _Step) -> bool:
    """Return whether what is added or multiplied is one number, or one for each channel."""
    if not step.weights:
        return len(step.call.inputs) == 1
    shape = step.call.outputs[0].shape
    channels = {1, shape[1] if len(shape) > 1 else 1, shape[-1]}
    return all(value.numel in channels for value in step.weights.values())


def _same_shapes(step: _Step) -> bool:
    return len({value.shape for value in step.call.inputs}) == 1


def _plain_name(op: str) -> str:
    """Return ``relu`` for ``aten.relu_``."""
    return op.partition(".")[2].removesuffix("_")


def read_writes(graph: FusedGraph) -> list[list[Slot]]:
    """Return for each kernel what it writes that somebody reads; its first answer where nobody does."""
    read = {slot for kernel in graph.kernels for slot in kernel.reads} | set(graph.outputs)
    return [[slot for slot in kernel.writes if slot in read] or kernel.writes[:1] for kernel in graph.kernels]
