"""Walking through memory as fast as numpy's compiled loops do: what bandwidths are measured with.

Small buffers are walked many times in one call, in a compiled loop: an axis of stride 0 repeats them without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from edgewise.bench.gemm_kernels import Run, together
from edgewise.records.device import LEVELS, Cache, Level

Floats = NDArray[np.float32]

FLOAT: Final = 4
PAGE_FLOATS: Final = 1024
APART_FLOATS: Final = PAGE_FLOATS // 2 + 16
"""The second buffer begins half a page and a line further on than the first, or stores and loads of equal low addresses wait
for each other."""
CALL_BYTES: Final = 1 << 26
"""One call moves about as much, so that starting it does not count."""
MIN_DRAM_BYTES: Final = 64 << 20
UNKNOWN_DRAM_BYTES: Final = 256 << 20
"""Where no cache's size is known."""
DRAM_CACHES: Final = 4
"""A buffer for DRAM is this many times the last cache."""
MAX_MEMORY_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through memory.

    Attributes:
        name: of the kernel.
        access: ``read``, or ``copy``, which counts what it reads and what it writes.
        prepare: makes the loop for two buffers of equal size and a number of repetitions.
    """

    name: str
    access: Literal["read", "copy"]
    prepare: Callable[[Floats, Floats, int], Run]

    def prepared(self, buffer_bytes: int, threads: int) -> tuple[Run, int]:
        """Return the call for buffers of ``buffer_bytes`` over all ``threads``, and the bytes that it moves."""
        size = buffer_bytes // threads // 2 // FLOAT
        repeats = max(1, CALL_BYTES // (2 * size * FLOAT * threads))
        runs = [self.prepare(*_two_buffers(size), repeats) for _ in range(threads)]
        return runs[0] if threads == 1 else together(runs), 2 * size * FLOAT * repeats * threads


def _dot(first: Floats, second: Floats, repeats: int) -> Run:
    """A dot product reads both buffers and writes one number."""
    size = first.size
    rows = np.broadcast_to(first.reshape(1, 1, size), (repeats, 1, size))
    columns = np.broadcast_to(second.reshape(1, size, 1), (repeats, size, 1))
    out = np.empty((repeats, 1, 1), np.float32)
    return lambda: np.matmul(rows, columns, out=out)


def _negative(first: Floats, second: Floats, repeats: int) -> Run:
    """Write the first buffer to the second with its sign turned, which costs nothing beside the moves."""
    source = np.broadcast_to(first, (repeats, first.size))
    target = as_strided(second, source.shape, (0, FLOAT))
    return lambda: np.negative(source, out=target)


def _copy(first: Floats, second: Floats, repeats: int) -> Run:
    """Copy by the system's memcpy, which knows ways around the caches for large buffers."""

    def run() -> None:
        for _ in range(repeats):
            np.copyto(second, first)

    return run


WALKS: Mapping[str, Walk] = MappingProxyType(
    {
        each.name: each
        for each in (
            Walk("numpy dot", "read", _dot),
            Walk("numpy negative", "copy", _negative),
            Walk("memcpy", "copy", _copy),
        )
    }
)


def buffer_sizes(level: Level, caches: Sequence[Cache], threads: int, free_bytes: int) -> list[int]:
    """Return how large buffers of all ``threads`` together may be to live in ``level``; empty where that cannot be told.

    Args:
        level: of the memory.
        caches: of the processor; where none is known, only DRAM can be told from the rest.
        threads: each with a buffer of its own, on a core of its own.
        free_bytes: of main memory; a quarter of it is used at most.
    """
    sizes = {each.level: each.size_bytes * max(1, threads // each.num_sharing) for each in caches}
    before = [sizes[each] for each in LEVELS[: LEVELS.index(level)] if each in sizes]
    nearer = before[-1] if before else 0
    if level == "DRAM":
        size = max(MIN_DRAM_BYTES, DRAM_CACHES * nearer) if nearer else UNKNOWN_DRAM_BYTES
        return [size] if size <= MAX_MEMORY_SHARE * free_bytes else []
    if level not in sizes:
        return []
    own = sizes[level]
    # the last cache is often shared with neighbours that are not seen, and holds less than it says
    shares = (own // 2, own * 3 // 4) if level != "L3" else (4 * nearer, own // 8)
    return sorted({size for size in shares if 2 * nearer <= size <= own * 3 // 4})


def _two_buffers(size: int) -> tuple[Floats, Floats]:
    """Return two arrays of ``size`` numbers, on cache lines; all pages are written, or they would be one page of zeros."""
    raw = np.full(2 * size + 2 * PAGE_FLOATS + 16, 0.5, np.float32)
    start = (-raw.ctypes.data // FLOAT) % 16
    second = start + size
    second += (start + APART_FLOATS - second) % PAGE_FLOATS
    return raw[start : start + size], raw[second : second + size]
