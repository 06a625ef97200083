"""Fitting a run into a time budget."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Iterator

import torch
from torch import nn

from edgewise.data.loader import Batch
from edgewise.train.config import TrainConfig
from edgewise.train.optimizer import make_optimizer
from edgewise.train.schedule import Plan, make_plan
from edgewise.train.task import Task

WARM_UP_STEPS = 2
TRIAL_STEPS = 8
TRIAL_S = 8.0
RECENT_STEPS = 20
TARGET_EVALS = 40
"""A budgeted run validates about this often: enough to see the curve, few enough to cost little."""
MARGIN = 0.96
"""Share of the budget that is planned for; the rest is for validations that take longer than thought."""
LATEST = 0.99
"""A run that would end after this share of its budget is planned anew."""


def measure_step_s(
    model: nn.Module, task: Task, batches: Iterator[Batch], config: TrainConfig, micro_batches: int
) -> float:
    """Return the seconds of one optimiser step, data included, measured on a copy of the model that is thrown away."""
    trial = copy.deepcopy(model).train()
    optimizer = make_optimizer(trial, config)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < WARM_UP_STEPS + TRIAL_STEPS and (len(times) <= WARM_UP_STEPS or sum(times) < TRIAL_S):
        batch = next(batches, None)
        if batch is None:
            break
        task.loss(trial, batch, step=0, micro=0).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        now = time.perf_counter()
        times.append(now - start)
        start = now
    counted = times[WARM_UP_STEPS:] or times
    return micro_batches * sum(counted) / len(counted)


def measure_eval_s(model: nn.Module, num_images: int, config: TrainConfig) -> float:
    """Return a guess of one validation's seconds, from the forward pass of one batch."""
    size = config.preprocessing.img_size
    images = torch.zeros(min(config.batch, max(1, num_images)), len(config.preprocessing.mean), size, size)
    images = images.to(config.device, memory_format=torch.channels_last if config.channels_last else None)
    trial = copy.deepcopy(model).eval()
    with torch.inference_mode():
        trial(images)
        start = time.perf_counter()
        trial(images)
    return 1.3 * (time.perf_counter() - start) * num_images / len(images)


def first_plan(
    config: TrainConfig, steps_per_epoch: int, *, left_s: float | None = None, step_s: float = 0.0, eval_s: float = 0.0
) -> tuple[Plan, int]:
    """Return the plan of a run from its start, and how many epochs lie between validations.

    Args:
        config: its `epochs` are the most that the plan holds.
        steps_per_epoch: optimiser steps in one.
        left_s: seconds for steps and validations; None = no budget.
        step_s: seconds of a step.
        eval_s: seconds of a validation.
    """
    total, eval_every = config.epochs * steps_per_epoch, config.eval_every
    if left_s is not None:
        num_evals = min(TARGET_EVALS, max(1, math.ceil(left_s / (steps_per_epoch * step_s))))
        total = whole_epochs(min(total, affordable_steps(left_s, step_s, eval_s, num_evals)), steps_per_epoch)
        eval_every = max(1, round(total / steps_per_epoch / TARGET_EVALS))
    plan = make_plan(
        epochs=config.epochs, steps_per_epoch=steps_per_epoch, warmup_epochs=config.warmup_epochs, total_steps=total
    )
    return plan, eval_every


def affordable_steps(budget_s: float, step_s: float, eval_s: float, num_evals: int) -> int:
    """Return how many steps fit beside the validations; at least 1."""
    return max(1, int((MARGIN * budget_s - num_evals * eval_s) / step_s))


def whole_epochs(steps: int, steps_per_epoch: int) -> int:
    """Return ``steps`` without the last part of an epoch, in runs of ten or more.

    A last epoch of a step or two would be validated once more for nothing, and its mean loss be that of a step or two.
    """
    return steps if steps < 10 * steps_per_epoch else steps - steps % steps_per_epoch


class Pace:
    """How long a step takes, saving and talking included, validations left out."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._paused_s = 0.0
        self._steps = 0
        self._recent: deque[float] = deque([0.0], maxlen=RECENT_STEPS + 1)

    def count_step(self) -> None:
        """Count a step that has just ended."""
        self._steps += 1
        self._recent.append(self._running_s())

    def leave_out(self, seconds: float) -> None:
        """Take the last ``seconds`` for no part of any step."""
        self._paused_s += seconds

    @property
    def step_s(self) -> float:
        """Return the seconds of a step: in this process so far, or of the last twenty where those were slower."""
        recent = (self._recent[-1] - self._recent[0]) / max(1, len(self._recent) - 1)
        return max(recent, self._recent[-1] / max(1, self._steps))

    def _running_s(self) -> float:
        return time.monotonic() - self._begun - self._paused_s


def steps_within(left_s: float, step_s: float, eval_s: float, eval_every_steps: int) -> int:
    """Return how many more steps fit into ``left_s`` beside their validations and the last one; may be 0."""
    return max(0, int((left_s - eval_s) / max(1e-9, step_s + eval_s / eval_every_steps)))
