"""What a run tells whoever watches it."""

from __future__ import annotations

from dataclasses import dataclass

from edgewise.records.training import EpochRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """The run after a step."""

    step: int
    total_steps: int
    epoch: int
    """From 1."""
    num_epochs: int
    loss: float
    """Smoothed over about the last 20 steps."""
    lr: float
    images_per_s: float
    data_wait: float
    """Share of this epoch's time spent waiting for data, 0-1."""
    remaining_s: float


class Listener:
    """Hears of everything and does nothing; subclass what you care for."""

    def on_train_start(self, num_epochs: int, total_steps: int, num_train: int, num_val: int) -> None:
        """Hear that training starts, or goes on."""

    def on_step(self, view: StepView) -> None:
        """Hear of a finished step."""

    def on_epoch(self, record: EpochRecord, is_best: bool) -> None:
        """Hear of a finished validation."""

    def on_save(self, step: int, seconds: float) -> None:
        """Hear of a checkpoint."""

    def on_message(self, text: str) -> None:
        """Hear a sentence that a person should read."""
