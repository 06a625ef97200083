"""Batches in a counted order: the same ones for any number of worker processes, from any batch on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from edgewise.data.augment import TrainTransform
from edgewise.data.dataset import Sample
from edgewise.data.seeds import derived_seed
from edgewise.data.transforms import EvalTransform
from edgewise.data.workers import Fetch, Key, Packet, WorkerPool
from edgewise.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Batch:
    """Images of one step."""

    images: torch.Tensor
    """uint8 (N, 3, S, S)"""
    targets: torch.Tensor
    """int64 (N,)"""
    positions: torch.Tensor
    """int64 (N,): places in the epoch's order for training, indices of the samples for evaluation."""


def sample_order(seed: int, epoch: int, num_samples: int) -> NDArray[np.int64]:
    """Return the order of one epoch: a permutation of the samples' indices, fixed by (seed, epoch)."""
    # raw counter output sorted: Generator.permutation may change between numpy's versions
    keys = np.random.Philox(key=derived_seed("order", seed, epoch)).random_raw(num_samples)
    return np.argsort(keys, kind="stable").astype(np.int64)


class TrainLoader:
    """Shuffled, augmented batches; what a batch holds depends on (seed, epoch, its place) and on nothing else."""

    def __init__(
        self,
        samples: Sequence[Sample],
        transform: TrainTransform,
        batch_size: int,
        seed: int,
        *,
        workers: int = 0,
        drop_last: bool = True,
    ) -> None:
        """Prepare, without starting a process yet.

        Args:
            samples: what to load; at least one.
            transform: makes one view of an image.
            batch_size: 1 or more.
            seed: the run's, 0 or more.
            workers: processes that decode, kept between epochs; 0 decodes in this one.
            drop_last: leave out a last batch that is not full; too few samples for one batch make one smaller batch.
        """
        _check(samples, batch_size, workers)
        self.num_samples = len(samples)
        self.batch_size = batch_size
        self.seed = seed
        self.drop_last = drop_last
        self._pool = WorkerPool(Fetch(samples, _TrainView(transform, seed)), workers)

    def __len__(self) -> int:
        """Return the number of batches of an epoch; never 0."""
        full, rest = divmod(self.num_samples, self.batch_size)
        return max(full, 1) if self.drop_last else full + bool(rest)

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, from ``start_batch`` on; one pass at a time.

        Raises:
            DataError: a file has vanished or is no longer an image.
            TrainingError: a worker process died or hangs.
        """
        order = sample_order(self.seed, epoch, self.num_samples)
        plan: list[list[Key]] = []
        for batch in range(start_batch, len(self)):
            start = batch * self.batch_size
            stop = min(start + self.batch_size, self.num_samples)
            plan.append([(int(order[position]), position, epoch) for position in range(start, stop)])
        return map(_batch, self._pool.run(plan))

    def close(self) -> None:
        """End the worker processes."""
        self._pool.close()


KEEP_BYTES = 512 * 2**20
"""What a validation set that is answered again and again may take in memory, as uint8."""


class EvalLoader:
    """All samples in order, once each time it is iterated; the last batch may be smaller.

    A small set is decoded once: after a whole pass its batches stay in memory.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        transform: EvalTransform,
        batch_size: int,
        workers: int = 0,
        *,
        keep_bytes: int = 0,
    ) -> None:
        """Prepare, without starting a process yet.

        Args:
            samples: what to load; at least one.
            transform: makes the view of an image.
            batch_size: 1 or more.
            workers: processes that decode; 0 decodes in this one.
            keep_bytes: most bytes of images to keep for the next passes.
        """
        _check(samples, batch_size, workers)
        self.keep_bytes = keep_bytes
        self._kept: list[Batch] | None = None
        self.num_samples = len(samples)
        self.batch_size = batch_size
        self._pool = WorkerPool(Fetch(samples, _EvalView(transform)), workers)

    def __len__(self) -> int:
        """Return the number of batches."""
        return math.ceil(self.num_samples / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches.

        Raises:
            DataError: a file has vanished or is no longer an image.
            TrainingError: a worker process died or hangs.
        """
        if self._kept is not None:
            return iter(self._kept)
        plan: list[list[Key]] = [
            [(index, index, 0) for index in range(start, min(start + self.batch_size, self.num_samples))]
            for start in range(0, self.num_samples, self.batch_size)
        ]
        return self._keeping(map(_batch, self._pool.run(plan)))

    def _keeping(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass the batches on, and keep them where a whole pass stays within `keep_bytes`."""
        seen: list[Batch] = []
        room = self.keep_bytes
        for batch in batches:
            room -= batch.images.nbytes
            if room >= 0:
                seen.append(batch)
            else:
                seen.clear()
            yield batch
        if room >= 0:
            self._kept = seen
            self.close()

    def close(self) -> None:
        """End the worker processes."""
        self._pool.close()


@dataclass(frozen=True, slots=True)
class _TrainView:
    transform: TrainTransform
    seed: int

    def __call__(self, content: bytes, key: Key) -> torch.Tensor:
        _, position, epoch = key
        return self.transform(content, derived_seed("sample", self.seed, epoch, position))


@dataclass(frozen=True, slots=True)
class _EvalView:
    transform: EvalTransform

    def __call__(self, content: bytes, key: Key) -> torch.Tensor:  # noqa: ARG002  the same view at any place
        return self.transform(content)


def _batch(packet: Packet) -> Batch:
    return Batch(*(torch.from_numpy(array) for array in (packet.images, packet.targets, packet.positions)))


def _check(samples: Sequence[Sample], batch_size: int, workers: int) -> None:
    if not samples:
        raise ConfigError("there are no samples to load")
    if batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}; must be 1 or more")
    if workers < 0:
        raise ConfigError(f"workers is {workers}; must be 0 or more")
