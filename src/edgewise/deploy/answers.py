"""Logits from a module and from a file, in the same form."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgewise.deploy.runtimes.protocol import Session
from edgewise.errors import ExportError

Images = NDArray[np.float32]
Logits = NDArray[np.float32]
Answer = Callable[[Images], Logits]

BATCH = 32


def module_answer(model: nn.Module) -> Answer:
    """Return what gives the logits (N, num_classes) of ``model`` for images (N, C, H, W); an fp32 copy runs."""
    reference = copy.deepcopy(model).cpu().float().eval()

    def answer(images: Images) -> Logits:
        with torch.inference_mode():
            parts = [
                reference(torch.from_numpy(images[start : start + BATCH])) for start in range(0, len(images), BATCH)
            ]
        return _checked(torch.cat(parts).numpy(), len(images))

    return answer


def session_answer(session: Session, batch_sizes: Sequence[int]) -> Answer:
    """Return what gives a loaded file's logits (N, num_classes), fed in batches of each of ``batch_sizes`` in turn."""

    def answer(images: Images) -> Logits:
        parts = [np.asarray(session.run([images[part]])[0]) for part in _slices(len(images), batch_sizes)]
        return _checked(np.concatenate(parts), len(images))

    return answer


def _slices(total: int, batch_sizes: Sequence[int]) -> Iterator[slice]:
    start = 0
    for size in cycle(batch_sizes):
        if start >= total:
            return
        yield slice(start, min(start + size, total))
        start += size


def _checked(logits: NDArray[np.generic], num_images: int) -> Logits:
    if logits.ndim != 2 or len(logits) != num_images:
        raise ExportError(
            f"logits are {tuple(logits.shape)} for {num_images} images; must be ({num_images}, num_classes)"
        )
    return logits.astype(np.float32, copy=False)
