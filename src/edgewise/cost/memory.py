"""The memory that activations take: at the fullest moment, and laid out in an arena."""

from __future__ import annotations

from dataclasses import dataclass

from edgewise.cost.fusion import FusionModel
from edgewise.cost.kernels import FusedGraph, Slot, read_writes
from edgewise.cost.precision import Precision


@dataclass(frozen=True, slots=True)
class Memory:
    """What activations need."""

    peak_bytes: int
    """The most that is alive while any one kernel runs."""
    peak_kernel: int
    """Number of that kernel; -1 where there is none."""
    arena_bytes: int
    """What it takes to give each tensor one stretch of addresses for as long as it lives."""


@dataclass(slots=True, eq=False)
class _Life:
    first: int
    last: int
    size: int
    offset: int = 0


def activation_memory(graph: FusedGraph, fusion: FusionModel, precision: Precision) -> Memory:
    """Return what input, activations and scratch take.

    A tensor lives from the kernel that writes it to the last one that reads it; the output to the end. The peak is a lower bound for
    any planner. The arena is laid out as TensorFlow Lite does it: the largest tensor first, each into the narrowest gap that it
    fits. Source: Pisarchyk and Lee 2020, arXiv 2001.03288, "greedy by size"; addresses are not rounded.
    """
    if not graph.kernels:
        return Memory(0, -1, 0)
    lives = _lives(graph, fusion, precision)
    alive = [0] * len(graph.kernels)
    for life in lives:
        for moment in range(life.first, life.last + 1):
            alive[moment] += life.size
    peak = max(alive)
    return Memory(peak, alive.index(peak), _lay_out(lives, len(alive)))


def _lay_out(lives: list[_Life], num_kernels: int) -> int:
    """Give each piece of memory an offset, and return the size of the whole."""
    placed: list[list[_Life]] = [[] for _ in range(num_kernels)]
    top = 0
    # what lives all the time first, then by size, then by time
    for life in sorted(lives, key=lambda each: (each.last - each.first < num_kernels - 1, -each.size, each.first)):
        moments = placed[life.first : life.last + 1]
        neighbours = sorted({each for moment in moments for each in moment}, key=lambda each: each.offset)
        life.offset = _narrowest_gap(neighbours, life.size)
        top = max(top, life.offset + life.size)
        for moment in moments:
            moment.append(life)
    return top


def _narrowest_gap(neighbours: list[_Life], size: int) -> int:
    """Return where the narrowest gap between ``neighbours``, ordered by offset, begins that ``size`` fits in; else their end."""
    end, best, best_width = 0, -1, 0
    for each in neighbours:
        width = each.offset - end
        if width >= size and (best < 0 or width < best_width):
            best, best_width = end, width
        end = max(end, each.offset + each.size)
    return best if best >= 0 else end


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
    scratch = [
        _Life(number, number, precision.activation_size(kernel.writes[0].value, kernel.scratch))
        for number, kernel in enumerate(graph.kernels)
        if kernel.scratch
    ]
    return [*dict.fromkeys(lives.values()), *scratch]


def _can_be_overwritten(
    taken: Slot, slot: Slot, lives: dict[Slot, _Life], is_last_reader: bool, precision: Precision
) -> bool:
    free = is_last_reader and not taken.is_input and not taken.is_output and taken in lives
    return free and _size(taken, precision) == _size(slot, precision)


def _size(slot: Slot, precision: Precision) -> int:
    return precision.activation_size(slot.value)
