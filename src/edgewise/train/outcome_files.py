"""The files of a run that people and later commands read: best weights, their answers, the table of validations.

A disk that refuses one of them does not end a run: it is said, and the file is written at the next chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.models.weights import FINGERPRINT
from edgewise.records.training import EvalRecord
from edgewise.report.tables import write_results_csv
from edgewise.train.checkpoint import save_weights
from edgewise.train.listener import Listener
from edgewise.train.run_folder import RunFolder
from edgewise.train.state import LoopState


class OutcomeFiles:
    """Writes `weights/best.safetensors`, `eval.json` and `results.csv`."""

    def __init__(self, folder: RunFolder, metadata: Mapping[str, str], listener: Listener) -> None:
        """Prepare; ``metadata`` travels inside the best weights."""
        self.folder = folder
        self.metadata = dict(metadata)
        self.listener = listener

    def save_best(self, weights: Mapping[str, torch.Tensor], answers: EvalRecord, state: LoopState) -> bool:
        """Keep the weights that gave ``answers``; False where the disk refuses, the older ones then stay the best."""
        metadata = self.metadata | {
            FINGERPRINT: sha256_of_state(weights),
            "edgewise.step": str(state.step),
            "edgewise.val_top1": repr(answers.top1),
        }
        result = save_weights(self.folder.best, weights, metadata)
        if result.reason:
            self.listener.on_message(result.reason)
        if result.ok:
            state.unwritten_answers = answers
            self._write_answers(state)
        return result.ok

    def write(self, state: LoopState) -> None:
        """Write the table, and what could not be written before."""
        with self._disk_may_fail("results.csv"):
            write_results_csv(state.records, self.folder.results_csv)
        self._write_answers(state)

    def finish(self, state: LoopState) -> None:
        """Write everything for the last time.

        Raises:
            OSError: the disk still refuses.
        """
        if state.unwritten_answers is not None:
            state.unwritten_answers.save(self.folder.eval_record)
        write_results_csv(state.records, self.folder.results_csv)

    def _write_answers(self, state: LoopState) -> None:
        if state.unwritten_answers is None:
            return
        with self._disk_may_fail("eval.json"):
            state.unwritten_answers.save(self.folder.eval_record)
            state.unwritten_answers = None

    @contextmanager
    def _disk_may_fail(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.listener.on_message(f"{what} was not written: {error.strerror}; training goes on")
