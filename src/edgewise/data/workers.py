"""Running a plan of batches here or in worker processes, with the same result."""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from edgewise.data.dataset import Sample
from edgewise.errors import DataError, ImageError, TrainingError, shown

STALL_SECONDS = 60
"""A worker that gives nothing for so long is taken for hung."""

PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Key = tuple[int, int, int]
"""(index of the sample, position in the epoch, epoch)"""
Make = Callable[[bytes, Key], torch.Tensor]
"""An image's bytes to uint8 (3, S, S)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One batch as it travels between processes: arrays and no tensors, which would need room in /dev/shm."""

    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    positions: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Failure:
    """A `DataError` on its way out of a worker."""

    text: str


class Fetch(Dataset[Any]):
    """Makes batches from keys; picklable where ``make`` is."""

    def __init__(self, samples: Sequence[Sample], make: Make) -> None:
        self.samples = samples
        self.make = make

    def __getitems__(self, keys: Sequence[Key]) -> Packet | Failure:
        """Return the batch for ``keys``, or why it cannot be made; torch calls this in the worker."""
        try:
            images = np.stack([self._image(key).numpy() for key in keys])
        except DataError as error:
            return Failure(str(error))
        targets = np.array([self.samples[index].label for index, _, _ in keys], dtype=np.int64)
        positions = np.array([position for _, position, _ in keys], dtype=np.int64)
        return Packet(images, targets, positions)

    def _image(self, key: Key) -> torch.Tensor:
        sample = self.samples[key[0]]
        try:
            return self.make(sample.image.read(), key)
        except OSError as error:
            raise DataError(f"{shown(sample.name)} can no longer be read: {error.strerror or error}") from error
        except ImageError as error:
            raise DataError(f"{shown(sample.name)} can no longer be decoded: {error}") from error
        except DataError as error:
            raise DataError(f"{shown(sample.name)} can no longer be read: {error}") from error


class _Plan:
    """The batches of the next pass; torch's loader reads it anew at each start."""

    def __init__(self) -> None:
        self.batches: Sequence[Sequence[Key]] = ()

    def __iter__(self) -> Iterator[Sequence[Key]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class WorkerPool:
    """Makes planned batches in order, in this process or in ``workers`` others that stay between passes.

    One pass at a time; starting another ends the one before.
    """

    def __init__(self, fetch: Fetch, workers: int) -> None:
        self.fetch = fetch
        self.workers = workers
        self.plan = _Plan()
        self._loader: DataLoader[Any] | None = None

    def run(self, batches: Sequence[Sequence[Key]]) -> Iterator[Packet]:
        """Yield a packet for each of ``batches``.

        Raises:
            DataError: a file has vanished or is no longer an image; the text names it.
            TrainingError: a worker died or hangs.
        """
        source = self._run_apart(batches) if self.workers else map(self.fetch.__getitems__, batches)
        for answer in source:
            if isinstance(answer, Failure):
                raise DataError(answer.text)
            yield answer

    def _run_apart(self, batches: Sequence[Sequence[Key]]) -> Iterator[Packet | Failure]:
        self.plan.batches = batches
        self._loader = self._loader or self._start()
        try:
            with warnings.catch_warnings():
                # Python 3.12 and later warn of any fork beside threads; `_start` says why this one is safe
                warnings.filterwarnings("ignore", "This process", DeprecationWarning)
                with _signals_held():
                    answers = iter(self._loader)
            _type_child_errors()
            yield from answers
        except RuntimeError as error:
            self.close()
            typed = _as_training_error(error)
            if typed is None:
                raise
            raise typed from error

    def _start(self) -> DataLoader[Any]:
        # runs before multiprocessing's own end, which would wait for ever on workers that ignore SIGTERM
        atexit.register(_close_at_exit, weakref.ref(self))
        return DataLoader(
            self.fetch,
            batch_sampler=self.plan,  # type: ignore[arg-type]
            num_workers=self.workers,
            collate_fn=_as_is,
            worker_init_fn=_settle,
            persistent_workers=True,
            timeout=STALL_SECONDS,
            # a fork costs 10 ms and shares the sample table, a fresh interpreter 3 s of importing torch in each worker;
            # after the fork workers run no torch operator that would need the threads they did not inherit
            multiprocessing_context="fork" if sys.platform == "linux" else "spawn",
            generator=torch.Generator(),  # else each pass would draw from torch's global one
        )

    def close(self) -> None:
        """End the worker processes; a later pass starts new ones."""
        loader, self._loader = self._loader, None
        iterator = getattr(loader, "_iterator", None)
        if iterator is None:
            return
        _ChildHandler.quiet = True
        try:
            for worker in iterator._workers:
                worker.kill()  # they ignore SIGTERM, and one may hang
            iterator._shutdown_workers()
        finally:
            _ChildHandler.quiet = False


def _close_at_exit(pool: weakref.ref[WorkerPool]) -> None:
    if (still_there := pool()) is not None:
        still_there.close()


def _as_is(packet: Any) -> Any:  # torch's type for it is that of a list
    return packet


def _settle(_: int) -> None:
    """Prepare a worker: signals are the parent's business, which may still want batches to finish its step."""
    for each in PARENTS_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENTS_SIGNALS)
    torch.set_num_threads(1)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back the parent's signals while workers start: they inherit that until `_settle` makes them deaf."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_training_error(error: RuntimeError) -> TrainingError | None:
    text = str(error)
    if not text.startswith("DataLoader"):
        return None
    reason = text.splitlines()[0].removeprefix("DataLoader ").rstrip(". ")
    return TrainingError(f"loading images stopped: {reason}; resume the run, with fewer --workers if memory was short")


def _type_child_errors() -> None:
    """Let torch's SIGCHLD handler, which reports dead workers wherever the main thread is, raise our error."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGCHLD"):
        return
    inner = signal.getsignal(signal.SIGCHLD)
    if not callable(inner) or isinstance(inner, _ChildHandler):
        return
    signal.signal(signal.SIGCHLD, _ChildHandler(inner))


class _ChildHandler:
    quiet = False
    """Set while workers are ended on purpose."""

    def __init__(self, inner: Callable[[int, FrameType | None], Any]) -> None:
        self.inner = inner

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.quiet:
            return
        try:
            self.inner(number, frame)
        except RuntimeError as error:
            typed = _as_training_error(error)
            if typed is None:
                raise
            raise typed from error
