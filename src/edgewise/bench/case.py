"""What is measured, and how much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgewise.bench.limits import check_threads
from edgewise.bench.verdict import MIN_BLOCKS
from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.errors import ConfigError

TIMEOUT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file to be measured in one runtime.

    Attributes:
        name: what to call it in the record.
        path: the file.
        runtime: as in `registry.RUNTIMES`.
        format: as in ``onnx``.
        precision: as in ``fp32``.
        threads: for one call; also the number of cores that the process is pinned to.
        batch: images in one call.
        input_shape: (N, C, H, W), of which N is replaced by `batch`; None takes the file's own.
    """

    name: str
    path: Path
    runtime: str
    format: str
    precision: str
    threads: int = 1
    batch: int = 1
    input_shape: tuple[int, ...] | None = None

    def check(self) -> None:
        """Refuse what cannot be measured, before any process is started.

        Raises:
            ConfigError: a number is out of range.
            InputError: the runtime is unknown, or the file is missing or not one of the runtime's.
        """
        check_threads(self.threads)
        if self.batch < 1:
            raise ConfigError(f"batch is {self.batch}; accepted: 1 or more")
        if self.input_shape is not None and min(self.input_shape, default=0) < 1:
            raise ConfigError(f"input_shape is {self.input_shape}; accepted: sizes of 1 or more")
        check_format(self.path, get_runtime(self.runtime))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure.

    Attributes:
        launches: fresh processes of each case at most, one after the other.
        min_blocks: blocks of each case, shared out among its launches.
        block_ms: about how long one block lasts; it holds one call at least.
        max_s_per_case: time after which a case gets no further block, shared out likewise; starting its processes may take as
            long again.
        timeout_s: longest time that a worker may take for one answer.
        max_call_ms: a case that takes longer when it is warm gets no blocks.
    """

    launches: int = 1
    min_blocks: int = MIN_BLOCKS
    block_ms: float = 20.0
    max_s_per_case: float = 20.0
    timeout_s: float = TIMEOUT_S
    max_call_ms: float = math.inf

    def launches_for(self, start_s: float, num_cases: int) -> int:
        """Return how often ``num_cases`` are launched when starting them once takes ``start_s``: all starts fit into the time given."""
        affordable = int(num_cases * self.max_s_per_case / start_s)
        return max(1, min(self.launches, self.min_blocks, affordable))
