"""The learning rate as a function of progress, and the plan of how many steps there are."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict


class Plan(BaseModel):
    """How many steps the run takes, and which share of the schedule is behind each.

    A run that re-plans (to keep its time budget) goes on from the progress it had: the schedule stays continuous.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_steps: int
    warmup_share: float
    """Share of the schedule in which the learning rate rises, 0-1."""
    from_step: int = 0
    from_progress: float = 0.0

    def progress(self, step: float) -> float:
        """Return the share of the schedule behind the run at ``step``, 0 to 1."""
        ahead = max(1, self.total_steps - self.from_step)
        share = (step - self.from_step) / ahead
        return min(1.0, self.from_progress + (1.0 - self.from_progress) * max(0.0, share))

    def replanned(self, step: int, total_steps: int) -> Plan:
        """Return the plan that ends at ``total_steps``, with the schedule running on from ``step``."""
        return self.model_copy(
            update={"total_steps": total_steps, "from_step": step, "from_progress": self.progress(step)}
        )

    def lr_ratio(self, step: int, min_ratio: float) -> float:
        """Return the learning rate of ``step`` (from 0) as a share of its peak: linear warm-up, then cosine to ``min_ratio``."""
        progress = self.progress(step + 0.5)
        if progress < self.warmup_share:
            return progress / self.warmup_share
        share = (progress - self.warmup_share) / (1.0 - self.warmup_share) if self.warmup_share < 1 else 1.0
        return min_ratio + (1.0 - min_ratio) * 0.5 * (1.0 + math.cos(math.pi * share))


def make_plan(*, epochs: int, steps_per_epoch: int, warmup_epochs: float, total_steps: int | None = None) -> Plan:
    """Return the plan of a run from its start.

    Args:
        epochs: how many the config asks for.
        steps_per_epoch: optimiser steps in one.
        warmup_epochs: at most half of the run is warm-up, whatever this says.
        total_steps: fewer steps than the epochs hold, where a time budget asks for it.
    """
    total = epochs * steps_per_epoch if total_steps is None else total_steps
    return Plan(total_steps=total, warmup_share=min(0.5, warmup_epochs * steps_per_epoch / max(1, total)))
