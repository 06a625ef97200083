"""Where a run stands: what a checkpoint holds beside tensors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from edgewise.records.training import EpochRecord, EvalRecord
from edgewise.train.schedule import Plan


class LoopState(BaseModel):
    """The loop's own state; with the tensors it is all that a resumed run needs."""

    model_config = ConfigDict(extra="forbid")

    plan: Plan
    eval_every_steps: int
    step: int = 0
    """Optimiser steps done; the place in the data follows from it."""
    elapsed_s: float = 0.0
    loss_sum: float = 0.0
    """Over the steps since the last validation, as are the next three."""
    loss_count: int = 0
    images: int = 0
    wait_s: float = 0.0
    busy_s: float = 0.0
    best_top1: float = -1.0
    best_epoch: int = 0
    records: list[EpochRecord] = []
    resumed: int = 0
    eval_s: float = 0.0
    """Of the last validation; before the first, a guess."""
    unwritten_answers: EvalRecord | None = None
    """Of the best weights, while the disk has refused them."""

    def start_window(self) -> None:
        """Forget the sums over the steps since the last validation."""
        self.loss_sum, self.loss_count, self.images, self.wait_s, self.busy_s = 0.0, 0, 0, 0.0, 0.0

    @property
    def data_wait(self) -> float:
        """Return the share of this window's time spent waiting for data."""
        return self.wait_s / self.busy_s if self.busy_s > 0 else 0.0

    @property
    def images_per_s(self) -> float:
        """Return this window's speed."""
        return self.images / self.busy_s if self.busy_s > 0 else 0.0

    @property
    def evaluated(self) -> bool:
        """Return whether the last step done has been validated."""
        return bool(self.records) and self.records[-1].step == self.step
