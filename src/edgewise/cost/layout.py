"""Maps in blocks of channels, as ONNX Runtime gives them to convolutions on x86, and the copies between these and plain maps.

Which operators compute in blocks: `onnxruntime/core/optimizer/nchwc_transformer.cc`, and for what is newer in version 1.31 the graphs that
it leaves (tests/facts/test_onnxruntime_layout.py). Channels are filled up to whole blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from edgewise.cost.kernels import FusedGraph, Kernel, Slot, another
from edgewise.cost.op_table import kind_of
from edgewise.graph.trace import Call
from edgewise.records.cost import CONVS

ALIGNED: Final = 4
"""Channels that are copied into blocks, and those of depthwise convolutions, must be a multiple of this."""
CHANNELS_LAST: Final = (0, 2, 3, 1)


def lay_out(graph: FusedGraph, calls: Sequence[Call], block: int) -> None:
    """Let the kernels of ``graph`` compute in blocks where the runtime does, and put the copies between them.

    An addition that joined a convolution is split off again where what it adds is no map in blocks.

    Args:
        graph: is changed.
        calls: the pass that it was made from.
        block: channels of a block: 16 with AVX-512, 8 with AVX2.
    """
    layouts = _Layouts(graph, calls, block)
    for kernel in graph.kernels:
        layouts.add(kernel)
    graph.outputs = [layouts.plain(slot) for slot in graph.outputs]
    for slot in graph.outputs:
        slot.is_output = True
    graph.kernels = layouts.kernels


class _Layouts:
    def __init__(self, graph: FusedGraph, calls: Sequence[Call], block: int) -> None:
        self.kernels: list[Kernel] = []
        self._graph, self._calls, self._block = graph, calls, block
        self._in_blocks: set[Slot] = set()
        """Those that a kernel wrote so; copies are not among them."""
        self._plain: dict[Slot, Slot] = {}
        self._blocked: dict[Slot, Slot] = {}

    def add(self, kernel: Kernel) -> None:
        call = self._calls[kernel.place]
        if kernel.calls and kind_of(call) in CONVS and _is_map(kernel.writes[0]):
            self._add_conv(kernel, call)
        elif kernel.calls and call.op == "aten.permute" and self._is_channels_last(kernel, call):
            kernel.kind = "reorder"
            self.kernels.append(kernel)
        else:
            self._append(kernel, in_blocks=self._keeps_blocks(kernel, call))

    def plain(self, slot: Slot) -> Slot:
        """Return ``slot``, or its plain copy, which is made where there is none."""
        return self._copied(slot, self._plain) if slot in self._in_blocks else slot

    def _add_conv(self, kernel: Kernel, call: Call) -> None:
        image, weight = (self._graph.slot_of(value) for value in call.inputs[:2])
        in_blocks, reads_plain = self._conv_layout(call)
        in_blocks = in_blocks and weight in kernel.weights
        added = [slot for slot in kernel.reads if slot is not image]
        rest: list[Kernel] = []
        if added and not (in_blocks and all(slot in self._in_blocks for slot in added)):
            kernel, rest = self._split(kernel, added)
        self._append(kernel, in_blocks=in_blocks, plain_reads={image} if reads_plain else set())
        for each in rest:
            self._append(each, in_blocks=False)

    def _conv_layout(self, call: Call) -> tuple[bool, bool]:
        """Say whether a convolution computes in blocks, and whether it reads a plain map then, as those of few channels do."""
        (out_chs, chs_of_group), groups = call.inputs[1].shape[:2], int(call.args[8])
        in_chs = chs_of_group * groups
        if call.args[6]:
            return False, False
        if groups == 1:
            few = in_chs < self._block
            return few or in_chs % ALIGNED == 0, few
        if chs_of_group == 1 and out_chs == groups:
            return out_chs % ALIGNED == 0, False
        return in_chs % self._block == 0 and out_chs // groups % self._block == 0, False

    def _split(self, kernel: Kernel, added: Sequence[Slot]) -> tuple[Kernel, list[Kernel]]:
        """Return the convolution, and kernels of their own for the addition of ``added`` and what follows it."""
        at = next(
            place
            for place, number in enumerate(kernel.calls)
            if place and any(self._graph.slot_of(value) in added for value in self._calls[number].inputs)
        )
        middle = self._graph.slot_of(self._calls[kernel.calls[at - 1]].outputs[0])
        first = Kernel(kernel.kind, kernel.place, kernel.calls[:at], dict(kernel.reads), kernel.weights, [middle])
        first.has_bias, first.num_added_biases, first.scratch = kernel.has_bias, kernel.num_added_biases, kernel.scratch
        for slot in added:
            del first.reads[slot]
        rest, source = [], {middle: middle.value}
        for place, number in enumerate(kernel.calls[at:], at):
            call = self._calls[number]
            reads = source | ({slot: kernel.reads[slot] for slot in added} if place == at else {})
            is_last = place == len(kernel.calls) - 1
            writes = list(kernel.writes) if is_last else [self._graph.slot_of(call.outputs[0])]
            rest.append(Kernel(kind_of(call) or "elementwise", number, [number], reads, {}, writes))
            source = {writes[0]: writes[0].value}
        return first, rest

    def _keeps_blocks(self, kernel: Kernel, call: Call) -> bool:
        """Say whether an operator that is no convolution computes in blocks; all but poolings do only what they are given so."""
        if not kernel.calls or not kernel.reads or not all(map(_is_map, (*kernel.reads, kernel.writes[0]))):
            return False
        fills = all(slot.value.shape[1] % self._block == 0 for slot in kernel.reads)
        if kernel.kind == "pool":
            return fills
        if not all(slot in self._in_blocks for slot in kernel.reads):
            return False
        match kernel.kind:
            case "activation":
                return True
            case "norm":
                return "batch_norm" in call.op
            case "elementwise":
                is_binary = call.op.removesuffix("_") in ("aten.add", "aten.mul") and len(kernel.reads) == 2
                return is_binary and len({slot.value.shape for slot in kernel.reads}) == 1
            case "move":
                return call.op == "aten.cat" and fills and call.args[1:2] == (1,)
            case _:
                return call.op == "aten.upsample_nearest2d"

    def _is_channels_last(self, kernel: Kernel, call: Call) -> bool:
        """Say whether a transposition is the copy out of blocks itself."""
        order = tuple(side % len(call.inputs[0].shape) for side in call.args[1])
        return order == CHANNELS_LAST and all(slot in self._in_blocks for slot in kernel.reads)

    def _append(self, kernel: Kernel, *, in_blocks: bool, plain_reads: set[Slot] | None = None) -> None:
        reads = {}
        for slot, value in kernel.reads.items():
            wants_blocks = in_blocks and slot not in (plain_reads or ())
            if wants_blocks == (slot in self._in_blocks):
                reads[slot] = value
            else:
                copy = self._copied(slot, self._blocked if wants_blocks else self._plain)
                reads[copy] = copy.value
        kernel.reads = reads
        if in_blocks:
            kernel.block = self._block
            self._in_blocks.add(kernel.writes[0])
        self.kernels.append(kernel)

    def _copied(self, slot: Slot, copies: dict[Slot, Slot]) -> Slot:
        """Return the copy of ``slot`` in the other layout; the first to ask has it made."""
        if slot not in copies:
            shape = slot.value.shape
            if copies is self._blocked:
                shape = (shape[0], filled(shape[1], self._block), *shape[2:])
            copies[slot] = Slot(another(slot.value, shape))
            place = self.kernels[-1].place if self.kernels else 0
            block = self._block if copies is self._blocked else 0
            self.kernels.append(Kernel("reorder", place, [], {slot: slot.value}, {}, [copies[slot]], block=block))
        return copies[slot]


def filled(chs: int, block: int) -> int:
    """Return ``chs`` filled up to whole blocks."""
    return math.ceil(chs / block) * block


def _is_map(slot: Slot) -> bool:
    return len(slot.value.shape) == 4
