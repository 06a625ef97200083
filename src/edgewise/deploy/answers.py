"""Logits from a module and from a file, in the same form."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgewise.deploy.runtimes.inputs import DescribesInputs
from edgewise.deploy.runtimes.protocol import Session
from edgewise.errors import ExportError
from edgewise.records.artifact import Artifact, Layout

Images = NDArray[np.float32]
Logits = NDArray[np.float32]
Answer = Callable[[Images], Logits]

BATCH = 32
LEAST_PROBABILITY = np.finfo(np.float32).tiny
"""Stands for a probability of 0, whose logarithm would be infinite."""


def module_answer(model: nn.Module, dtype: torch.dtype = torch.float32) -> Answer:
    """Return what gives the logits (N, num_classes) of ``model`` for images (N, C, H, W); a copy runs, in ``dtype``."""
    reference = copy.deepcopy(model).cpu().to(dtype).eval()

    def answer(images: Images) -> Logits:
        pixels = torch.from_numpy(images).to(dtype)
        with torch.inference_mode():
            parts = [reference(pixels[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return _checked(torch.cat(parts).numpy(), len(images))

    return answer


def remembered(answer: Answer) -> Answer:
    """Return what gives the answers of ``answer``, computed once for the same images: a model is asked anew for each of its files."""
    known: dict[bytes, Logits] = {}

    def recall(images: Images) -> Logits:
        key = hashlib.sha256(np.ascontiguousarray(images).data).digest() + repr(images.shape).encode()
        if key not in known:
            known[key] = answer(images)
        return known[key]

    return recall


def session_answer(session: Session, batch_sizes: Sequence[int]) -> Answer:
    """Return what gives a loaded file's answers (N, num_classes), fed in batches of each of ``batch_sizes`` in turn.

    A file with a fixed batch gets that, its last one filled up with the first images.
    """
    fixed = fixed_batch(session)

    def answer(images: Images) -> Logits:
        num_spare = -len(images) % fixed if fixed else 0
        fed = images if num_spare == 0 else np.resize(images, (len(images) + num_spare, *images.shape[1:]))
        sizes = (fixed,) if fixed else batch_sizes
        logits = np.concatenate([np.asarray(session.run([fed[part]])[0]) for part in _slices(len(fed), sizes)])
        return _checked(logits[: len(logits) - num_spare], len(images))

    return answer


def artifact_answer(session: Session, artifact: Artifact, batch_sizes: Sequence[int]) -> Answer:
    """Return what gives the logits (N, num_classes) of an artifact's loaded file for images (N, C, S, S) that its recipe prepared.

    Where the file gives probabilities, logits are their logarithms: the softmax of those are the probabilities again.
    """
    answer = session_answer(session, batch_sizes)

    def logits(images: Images) -> Logits:
        given = answer(ordered(images, artifact.input.layout))
        return np.log(np.maximum(given, LEAST_PROBABILITY)) if artifact.output == "probabilities" else given

    return logits


def ordered(images: Images, layout: Layout) -> Images:
    """Return images (N, C, H, W) in ``layout``."""
    return images if layout == "nchw" else np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def fixed_batch(session: Session) -> int | None:
    """Return the one batch size that a loaded file takes; None where it takes any, or its runtime cannot tell."""
    return session.inputs[0].shape[0] if isinstance(session, DescribesInputs) and session.inputs[0].shape else None


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
