"""Running an exported file over a labelled set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.deploy.answers import artifact_answer, session_answer
from edgewise.deploy.runtimes.protocol import RuntimeOptions
from edgewise.deploy.runtimes.registry import get_runtime
from edgewise.errors import InputError
from edgewise.records.artifact import Artifact

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a file answered on a labelled set, in the set's order."""

    predicted: Labels
    """(N,), class indices."""
    targets: Labels
    """(N,), class indices."""
    logits: NDArray[np.float32] | None = None
    """(N, num_classes), when they were asked for."""

    @property
    def top1(self) -> float:
        """Share of right answers, 0-1."""
        return float((self.predicted == self.targets).mean())


def evaluate_file(
    path: Path,
    batches: Iterable[tuple[NDArray[np.float32], Labels]],
    *,
    runtime: str,
    artifact: Artifact | None = None,
    threads: int = 2,
    batch_size: int = 16,
    keep_logits: bool = False,
) -> Answers:
    """Run the file at ``path`` over ``batches``.

    Args:
        path: an exported file.
        batches: (images, labels): prepared for the file, (N, C, S, S), float32, and (N,).
        runtime: name of the runtime that runs it.
        artifact: its record, which says in what order the file takes an image's axes and what it gives; None = channels first, logits.
        threads: threads of the runtime.
        batch_size: images per call; a file with a fixed batch gets that.
        keep_logits: whether to return the logits too.

    Raises:
        InputError: there is not one batch, or the file cannot be loaded.
        UnknownNameError: there is no such runtime.
    """
    session = get_runtime(runtime).load(path, RuntimeOptions(threads=threads))
    sizes = (batch_size,)
    answer = session_answer(session, sizes) if artifact is None else artifact_answer(session, artifact, sizes)
    logits, targets = [], []
    try:
        for images, labels in batches:
            logits.append(answer(np.array(images, np.float32)))
            targets.append(np.asarray(labels, dtype=np.int64))
    finally:
        session.close()
    if not logits:
        raise InputError("there are no labelled images to evaluate the file on")
    joined = np.concatenate(logits)
    return Answers(predicted=joined.argmax(1), targets=np.concatenate(targets), logits=joined if keep_logits else None)


def agreement(a: Labels, b: Labels) -> float:
    """Return the share of equal answers of two runs over the same images, 0-1.

    Raises:
        InputError: they are not of the same, non-zero length.
    """
    if a.shape != b.shape or a.size == 0:
        raise InputError(f"answers of shapes {a.shape} and {b.shape} cannot be compared; must be equal and not empty")
    return float((a == b).mean())
