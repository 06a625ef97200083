"""The process in which one library's peaks, or the memory's bandwidths, are measured: ``python -m edgewise.bench.device_worker``.

It obeys orders as the worker of latencies does, fresh and pinned; a library that crashes takes only itself along.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import IO, Any

from edgewise.bench.caches import read_caches
from edgewise.bench.gemm_kernels import LIBRARIES, NotComputedError, Run, kernels
from edgewise.bench.memory_kernels import WALKS
from edgewise.bench.occupancy import Watch, pin, share_lost, waited_s
from edgewise.bench.reference import ReferenceKernel
from edgewise.bench.worker import main
from edgewise.errors import EdgewiseError, InputError

BLOCK_S = 0.004
"""A block holds as many calls as fit, one at least: about as long as a system lets a process run before it asks another one."""
WARM_UP_CALLS = 2
FINE_S = 1e-6
"""A clock that ticks more coarsely tells nothing of a block."""

Answer = dict[str, Any]


class DeviceWorker:
    """A process on as many cores as it has threads, with the reference kernel beside it."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._cores = pin(threads)
        self._watch = Watch(self._cores)
        self._reference = ReferenceKernel()
        # one thread that only computes: its own processor time is what it would take on a quiet machine
        fine = time.get_clock_info("process_time").resolution <= FINE_S
        self._clock = time.process_time if threads == 1 and fine else time.perf_counter

    def machine(self) -> Answer:
        """Return the data caches of the cores that this process runs on."""
        return {"caches": [cache.model_dump() for cache in read_caches(self._cores[0])]}

    def names(self, library: str, precision: str) -> Answer:
        """Return the names of the kernels that ``library`` has in ``precision``.

        Raises:
            MissingExtraError: it is not installed.
        """
        sdk = LIBRARIES[library].sdk
        if sdk is not None:
            sdk.require()
        return {"kernels": [kernel.name for kernel in kernels(library, precision)]}

    def peak(self, library: str, precision: str, kernel: str, num_blocks: int) -> Answer:
        """Time one kernel, or say why its time would be no peak of ``precision`` here."""
        chosen = next(each for each in kernels(library, precision) if each.name == kernel)
        try:
            run = chosen.prepare(self._threads)
        except NotComputedError as error:
            return {"skipped": str(error)}
        return self._timed(run, chosen.macs_of_call(self._threads), num_blocks)

    def walk(self, walk: str, buffer_bytes: int, num_blocks: int) -> Answer:
        """Time one way through buffers of ``buffer_bytes`` in all."""
        run, moved = WALKS[walk].prepared(buffer_bytes, self._threads)
        return self._timed(run, moved, num_blocks)

    def _timed(self, run: Run, units: int, num_blocks: int) -> Answer:
        for _ in range(WARM_UP_CALLS):
            run()
        num_calls = max(1, round(BLOCK_S / self._once(run)))
        call_s, reference_ms, lost, occupancies = [], [], [], []
        for _ in range(num_blocks):
            before = self._reference.time_ms()
            waited_before = waited_s()
            self._watch.start()
            started = self._clock()
            for _ in range(num_calls):
                run()
            call_s.append((self._clock() - started) / num_calls)
            occupancy, waited = self._watch.stop(), waited_s()
            occupancies.append(asdict(occupancy))
            lost.append(
                share_lost(occupancy, None if waited is None or waited_before is None else waited - waited_before)
            )
            reference_ms.append((before + self._reference.time_ms()) / 2)
        times = {"units": units, "call_s": call_s, "reference_ms": reference_ms}
        return {**times, "lost": lost, "occupancies": occupancies}

    @staticmethod
    def _once(run: Run) -> float:
        started = time.perf_counter()
        run()
        return max(time.perf_counter() - started, 1e-7)


def serve(orders: IO[str], answers: IO[str]) -> None:
    """Obey orders until the end of ``orders``, which is also how the end of the parent shows."""
    worker: DeviceWorker | None = None
    for line in orders:
        order = json.loads(line)
        do = order.pop("do")
        try:
            if do == "start":
                worker = DeviceWorker(**order)
                answer = worker.machine()
            else:
                assert worker is not None
                answer = _obey(worker, do, order)
        except EdgewiseError as error:
            answer = {"error": str(error), "is_input": isinstance(error, InputError)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _obey(worker: DeviceWorker, do: str, order: Answer) -> Answer:
    match do:
        case "names":
            return worker.names(**order)
        case "peak":
            return worker.peak(**order)
        case "walk":
            return worker.walk(**order)
        case unknown:
            raise AssertionError(f"unknown order {unknown}")


if __name__ == "__main__":
    main(serve)
