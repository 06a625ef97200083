"""The process in which one file is timed: ``python -m edgewise.bench.worker``.

Reads commands as JSON lines from stdin and answers each with one JSON line on what was its stdout; whatever an SDK
prints goes to stderr. It imports the one runtime that it is told to load and nothing else that is heavy.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgewise.bench.occupancy import Watch, pin
from edgewise.bench.reference import ReferenceKernel
from edgewise.deploy.runtimes.inputs import DescribesInputs, FileInput
from edgewise.deploy.runtimes.op_times import TimesOperators
from edgewise.deploy.runtimes.placement import TellsPlacement
from edgewise.deploy.runtimes.protocol import Array, RuntimeOptions, Session
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.errors import EdgewiseError, InputError, shown
from edgewise.records.op_time import OpTime
from edgewise.records.peak_memory import peak_rss_bytes

WARM_UP_WINDOW_S = 0.05
STABLE_WITHIN = 0.02
SETTLE_S = 0.015
"""Untimed calls before each block last at least this long: caches and threads come back from other workers' turns.

On a Xeon with 2 MiB of L2, MobileNetV3-Large takes 5.3 ms in the first call behind another file's block, 4.7 and 4.5 in the next two, and
4.45 from the fourth on.
"""

Answer = dict[str, Any]


class Worker:
    """A loaded file with its input, and what can be asked of it."""

    def __init__(self, order: Answer) -> None:
        path, threads = Path(order["path"]), int(order["threads"])
        self._watch = Watch(pin(threads))
        self._path, self._options = path, RuntimeOptions(threads=threads)
        self._runtime = get_runtime(order["runtime"])
        self._runtime.sdk.require()
        started = time.perf_counter()
        self._session: Session = self._runtime.load(path, self._options)
        load_ms = (time.perf_counter() - started) * 1e3
        self._arrays = make_inputs(path, _inputs_of(self._session), order["batch"], order["input_shape"])
        self.loaded = {"load_ms": load_ms, "input_shape": self._arrays[0].shape}
        self._reference = ReferenceKernel()
        gc.collect()
        gc.disable()

    @property
    def placement(self) -> dict[str, int] | None:
        """How many operators run where; None where the runtime does not tell."""
        return self._session.placement() if isinstance(self._session, TellsPlacement) else None

    def warm_up(self, max_s: float) -> Answer:
        """Call until two windows of 50 ms agree within 2 %, or ``max_s`` are over."""
        deadline = time.perf_counter() + max_s
        before, stable = float("inf"), False
        while True:
            call_s = self._window()
            stable = abs(call_s - before) <= STABLE_WITHIN * call_s
            if stable or time.perf_counter() > deadline:
                return {"call_ms": call_s * 1e3, "stable": stable}
            before = call_s

    def block(self, num_calls: int) -> Answer:
        """Time ``num_calls`` single calls in a row, and the reference kernel before and after them."""
        reference_ms = [self._reference.time_ms()]
        settled = time.perf_counter() + SETTLE_S
        self._session.run(self._arrays)
        while time.perf_counter() < settled:
            self._session.run(self._arrays)
        run, arrays, clock = self._session.run, self._arrays, time.perf_counter_ns
        samples_ns = [0] * num_calls
        self._watch.start()
        for i in range(num_calls):
            started = clock()
            outputs = run(arrays)
            samples_ns[i] = clock() - started
        occupancy = self._watch.stop()
        reference_ms.append(self._reference.time_ms())
        return {
            "samples_ms": [sample / 1e6 for sample in samples_ns],
            "reference_ms": sum(reference_ms) / len(reference_ms),
            "occupancy": asdict(occupancy),
            "checksum": checksum(outputs),
        }

    def operator_times(self, num_calls: int) -> list[OpTime]:
        """Profile ``num_calls`` calls of the same file; empty where the runtime has no profiler."""
        if not isinstance(self._runtime, TimesOperators):
            return []
        return self._runtime.operator_times(self._path, self._options, self._arrays, num_calls)

    def _window(self) -> float:
        """Return the median seconds of one call over 50 ms of calls, one call at least."""
        calls: list[float] = []
        started = time.perf_counter()
        while not calls or time.perf_counter() - started < WARM_UP_WINDOW_S:
            before = time.perf_counter()
            self._session.run(self._arrays)
            calls.append(time.perf_counter() - before)
        return sorted(calls)[len(calls) // 2]


def make_inputs(path: Path, inputs: Sequence[FileInput], batch: int, input_shape: Sequence[int] | None) -> list[Array]:
    """Make the same pseudo-random arrays for the same shapes, each time.

    Args:
        path: of the file, for messages.
        inputs: what the file expects; empty where its runtime cannot tell.
        batch: replaces N, the first size of each input.
        input_shape: (N, C, H, W) of the first input, where the file leaves sizes open; N is ignored.

    Raises:
        InputError: the file has another fixed size, or leaves one open that is not given.
    """
    if not inputs:
        if input_shape is None:
            raise InputError(f"{shown(path)} does not tell its input; give input_shape")
        inputs = [FileInput(name="input", shape=(None, *input_shape[1:]), dtype="float32")]
    rng = np.random.default_rng(0)
    given = [input_shape, *[None] * (len(inputs) - 1)]
    return [_random(rng, one.dtype, _shape(path, one, batch, shape)) for one, shape in zip(inputs, given, strict=True)]


def _shape(path: Path, wanted: FileInput, batch: int, given: Sequence[int] | None) -> tuple[int, ...]:
    if not wanted.shape:
        return ()
    asked = (batch, *(given[1:] if given else wanted.shape[1:]))
    fits = len(asked) == len(wanted.shape) and all(
        have is None or have == size for have, size in zip(wanted.shape, asked, strict=True)
    )
    expected = " x ".join("any" if size is None else str(size) for size in wanted.shape)
    sizes = [size for size in asked if size is not None]
    if len(sizes) < len(asked):
        raise InputError(
            f"{shown(path)}: input {shown(wanted.name)} is {expected}; give input_shape for the open sizes"
        )
    if not fits:
        got = " x ".join(map(str, sizes))
        raise InputError(f"{shown(path)}: input {shown(wanted.name)} is {expected}; asked for {got}")
    return tuple(sizes)


def _random(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Array:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return rng.standard_normal(shape, dtype=np.float32).astype(kind)
    return rng.integers(0, 2 if kind.kind == "b" else 100, shape).astype(kind)


def checksum(outputs: Sequence[Array]) -> str:
    """Return one hash over all bytes of ``outputs``."""
    digest = hashlib.sha256()
    for output in outputs:
        digest.update(np.ascontiguousarray(output).tobytes())
    return digest.hexdigest()


def _inputs_of(session: Session) -> Sequence[FileInput]:
    return session.inputs if isinstance(session, DescribesInputs) else ()


def serve(orders: IO[str], answers: IO[str]) -> None:
    """Obey orders until ``quit`` or the end of ``orders``, which is also how the end of the parent shows."""
    worker: Worker | None = None
    for line in orders:
        order = json.loads(line)
        if order["do"] == "quit":
            return
        try:
            if order["do"] == "get_ready":
                get_runtime(order["runtime"]).sdk.require()
                answer: Answer = {}
            else:
                if order["do"] == "load":
                    worker = Worker(order)
                assert worker is not None
                answer = _obey(worker, order)
        except EdgewiseError as error:
            answer = {"error": str(error), "is_input": isinstance(error, InputError)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _obey(worker: Worker, order: Answer) -> Answer:
    match order["do"]:
        case "load":
            return worker.loaded
        case "warm_up":
            return worker.warm_up(order["max_s"])
        case "block":
            return worker.block(order["num_calls"])
        case "operator_times":
            return {"ops": [asdict(each) for each in worker.operator_times(order["num_calls"])]}
        case "footprint":
            return {"peak_rss_bytes": peak_rss_bytes(), "placement": worker.placement}
        case unknown:
            raise AssertionError(f"unknown order {unknown}")


def main(serve: Callable[[IO[str], IO[str]], None] = serve) -> None:
    """Serve stdin; the parent decides when to stop, so Ctrl-C in its terminal is left to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
