"""What a whole job tells whoever watches it."""

from __future__ import annotations

from edgewise.train.listener import Listener


class JobListener(Listener):
    """Hears of training and of the stages around it, and does nothing."""

    def on_stage(self, text: str) -> None:
        """Hear that a stage begins."""

    def on_progress(self, done: int, total: int) -> None:
        """Hear how far the present stage is."""

    def on_overall(self, done: int, total: int) -> None:
        """Hear how far a job of many like parts is."""

    def on_result(self, text: str) -> None:
        """Hear a stage's outcome in one sentence."""
