"""What exports that follow each other share: captured programs, and processes that have an SDK loaded already."""

from __future__ import annotations

import os
import tempfile
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self, TypeVar

import psutil
import torch
from torch import nn
from torch.export import ExportedProgram

from edgewise.deploy.answers import Answer, module_answer, remembered
from edgewise.deploy.converter import Converter
from edgewise.errors import ExportError
from edgewise.records.environment import usable_cores

T = TypeVar("T")

LONGEST: Final = frozenset({"pte", "tflite", "mlpackage"})
"""Formats that take two and more times as long as any other; see ``wall_s_of_formats`` in results/export_all.json."""
CONVERTER_BYTES: Final = 3 << 29
"""Memory of a process with an SDK loaded, roughly the largest of them."""
BYTES_PER_WEIGHT: Final = 40
"""Memory that a conversion takes besides, roughly: ten float32 copies of the weights."""
KEPT_FREE_BYTES: Final = 1 << 32
"""Where less is free, no process is kept for a next job."""


def conversions_at_once(num_weights: int) -> int:
    """Return how many conversions of a model the cores and the free memory have room for, one at least."""
    room = psutil.virtual_memory().available // (CONVERTER_BYTES + BYTES_PER_WEIGHT * num_weights)
    return max(1, min(usable_cores(), room))


class Workshop:
    """Shared by any number of exports, also from several threads; a context manager, on whose exit all processes are gone.

    What runs in the caller's own process (capturing, verifying) is done by one thread at a time, under `lock`: torch and the
    runtimes' SDKs hold state that threads would share. Conversions run beside it and beside each other.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._shelf = threading.Lock()
        """Held while a converter is taken or put back, never while one works."""
        self._folder = tempfile.TemporaryDirectory(prefix="edgewise-workshop-")
        self._idle: dict[str, list[Converter]] = defaultdict(list)
        self._all: list[Converter] = []
        self._model: nn.Module | None = None
        self._weights = ""
        self._answer: Answer | None = None
        self._programs: dict[Hashable, ExportedProgram] = {}
        self._files: dict[int, _Saved] = {}
        self._is_closed = False

    def captured(
        self, model: nn.Module, weights: str, form: Hashable, capture: Callable[[], ExportedProgram]
    ) -> ExportedProgram:
        """Return the program of ``model`` in a form, captured once; those of the last model alone are kept.

        Args:
            model: what is captured.
            weights: their hash: they may have changed since.
            form: what else decides about the program.
            capture: makes it.
        """
        self._turn_to(model, weights)
        if form not in self._programs:
            self._programs[form] = capture()
        return self._programs[form]

    def answers(self, model: nn.Module, weights: str) -> Answer:
        """Return what gives the logits of ``model``, remembered for the images that it has been asked of; see `captured`."""
        self._turn_to(model, weights)
        if self._answer is None:
            self._answer = remembered(module_answer(model))
        return self._answer

    @contextmanager
    def saved(self, program: ExportedProgram) -> Iterator[Path]:
        """Give the file that ``program`` is saved in, once as long as its model is the last one.

        Raises:
            OSError: it cannot be written.
        """
        with self.lock:
            if id(program) not in self._files:
                self._files[id(program)] = _Saved(program, Path(self._folder.name))
            file = self._files[id(program)]
            file.num_users += 1
        try:
            yield file.path
        finally:
            with self.lock:
                file.num_users -= 1

    def run(self, job_file: Path, *, format: str, task: str, timeout_s: float) -> None:  # noqa: A002
        """Do a job in a process of its format; see `Converter.run`."""
        with self._converter(format) as converter:
            converter.run(job_file, task=task, timeout_s=timeout_s)

    def beside_each_other(
        self, tasks: Sequence[Callable[[], T]], at_once: int, formats: Sequence[str] = ()
    ) -> Iterator[tuple[int, T]]:
        """Do ``tasks`` in ``at_once`` threads, and give the place and the outcome of each as it is done.

        Where one raises, or the caller is interrupted, the workshop is closed, with which the others end too.

        Args:
            tasks: exports.
            at_once: threads.
            formats: of each task, where they differ: what takes longest is begun first.
        """
        pool = ThreadPoolExecutor(at_once)
        order = sorted(range(len(tasks)), key=lambda place: formats[place] not in LONGEST if formats else 0)
        try:
            places = {pool.submit(tasks[place]): place for place in order}
            for future in as_completed(places):
                yield places[future], future.result()
        except BaseException:
            self.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """End all processes, also those at work, and remove what was saved."""
        with self._shelf:
            self._is_closed = True
            for converter in self._all:
                converter.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _converter(self, format_: str) -> Iterator[Converter]:
        with self._shelf:
            if self._is_closed:
                raise ExportError("the workshop is closed")
            idle = self._idle[format_]
            converter = idle.pop() if idle else Converter()
            if converter not in self._all:
                self._all.append(converter)
        try:
            yield converter
        finally:
            if psutil.virtual_memory().available < KEPT_FREE_BYTES:
                converter.kill()  # its next job starts it anew
            with self._shelf:
                idle.append(converter)

    def _turn_to(self, model: nn.Module, weights: str) -> None:
        """Forget what is of another model than ``model`` with these weights."""
        if self._model is model and self._weights == weights:
            return
        self._model, self._weights, self._answer = model, weights, None
        self._programs.clear()
        for key, file in list(self._files.items()):
            if not file.num_users:
                file.path.unlink(missing_ok=True)
                del self._files[key]


class _Saved:
    """A program with its file."""

    def __init__(self, program: ExportedProgram, folder: Path) -> None:
        self.program = program
        """Held, so that no other one gets its identity."""
        self.num_users = 0
        descriptor, name = tempfile.mkstemp(suffix=".pt2", dir=folder)
        os.close(descriptor)
        self.path = Path(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations on saving
            torch.export.save(program, self.path)
