"""The most memory that activations take at one time."""

from __future__ import annotations

from dataclasses import dataclass

from edgewise.cost.fusion import FusionModel
from edgewise.cost.kernels import FusedGraph, Slot, read_writes
from edgewise.cost.precision import Precision


@dataclass(frozen=True, slots=True)
class Peak:
    """The fullest moment of a pass."""

    bytes: int
    kernel: int
    """Number of the kernel that runs then; -1 where there is none."""


@dataclass(slots=True)
class _Life:
    first: int
    last: int
    size: int


def peak_memory(graph: FusedGraph, fusion: FusionModel, precision: Precision) -> Peak:
    """Return the most bytes that input, activations and scratch take while any one kernel runs.

    A tensor lives from the kernel that writes it to the last one that reads it; the output to the end. That is a lower bound of
    what a planner allocates, which must also find each tensor one stretch of addresses; planners come within a few per cent of it.
    """
    if not graph.kernels:
        return Peak(0, -1)
    usage = [0] * (len(graph.kernels) + 1)
    for life in _lives(graph, fusion, precision):
        usage[life.first] += life.size
        usage[life.last + 1] -= life.size
    peak, alive = Peak(0, -1), 0
    for number, (change, kernel) in enumerate(zip(usage, graph.kernels, strict=False)):
        alive += change
        scratch = precision.activation_size(kernel.writes[0].value, kernel.scratch)
        if alive + scratch > peak.bytes:
            peak = Peak(alive + scratch, number)
    return peak


def _lives(graph: FusedGraph, fusion: FusionModel, precision: Precision) -> list[_Life]:
    """Return when each piece of memory is taken; a tensor that takes over another's memory is one piece with it."""
    end = len(graph.kernels) - 1
    lives: dict[Slot, _Life] = {}
    for slot in graph.inputs:
        lives[slot] = _Life(0, end if fusion.keeps_input or slot.is_output else 0, _size(slot, precision))
    last_read = {slot: number for number, kernel in enumerate(graph.kernels) for slot in kernel.reads}
    for number, (kernel, written) in enumerate(zip(graph.kernels, read_writes(graph), strict=True)):
        for slot in kernel.reads:
            # what nobody wrote was made empty, to be filled part by part
            life = lives.setdefault(slot, _Life(number, number, _size(slot, precision)))
            life.last = max(life.last, number)
        for slot in written:
            taken = kernel.overwrites
            if taken is not None and _can_be_overwritten(taken, slot, lives, last_read[taken] == number, precision):
                lives[slot] = lives[taken]
            life = lives.setdefault(slot, _Life(number, number, _size(slot, precision)))
            life.last = end if slot.is_output else max(life.last, number)
    return list({id(life): life for life in lives.values()}.values())


def _can_be_overwritten(
    taken: Slot, slot: Slot, lives: dict[Slot, _Life], is_last_reader: bool, precision: Precision
) -> bool:
    free = is_last_reader and not taken.is_input and not taken.is_output and taken in lives
    return free and _size(taken, precision) == _size(slot, precision)


def _size(slot: Slot, precision: Precision) -> int:
    return precision.activation_size(slot.value)
