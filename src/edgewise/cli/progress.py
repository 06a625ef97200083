"""Live progress: training's line, the stages of a job, and plain lines where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from edgewise.pipeline.listener import JobListener
from edgewise.records.training import EpochRecord
from edgewise.report.formatting import format_duration, format_percent
from edgewise.train.listener import StepView

PLAIN_EVERY_S = 20.0
"""Seconds between two lines of training progress where the output is no terminal."""


class TerminalListener(JobListener):
    """Draws a bar on a terminal; writes a line now and then elsewhere."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.live = console.is_terminal and not quiet
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self._task: TaskID | None = None
        self._overall: TaskID | None = None
        self._said_at = time.monotonic()
        self._begun: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        if self.live:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_task()
        if self.live:
            self._progress.stop()

    def on_stage(self, text: str) -> None:
        """Name the stage and begin a new bar."""
        self._end_task()
        self._print(f"[bold]{escape(text)}[/]")

    def on_progress(self, done: int, total: int) -> None:
        """Move the stage's bar."""
        if not self.live or total <= 0:
            return
        self._bar(done, total, f"{done}/{total}")
        if done >= total:
            self._end_task()

    def on_overall(self, done: int, total: int) -> None:
        """Move the bar of the whole job, with the time that is left at its pace so far."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now, done
        begun, before = self._begun
        left = f" ETA {format_duration((now - begun) / (done - before) * (total - done))}" if done > before else ""
        if not self.live:
            self._print(f"  {done} of {total} done{left}")
            return
        if self._overall is None:
            self._overall = self._progress.add_task("all", total=total, state="")
        self._progress.update(self._overall, completed=done, total=total, state=f"{done}/{total}{left}")

    def on_result(self, text: str) -> None:
        """Write a stage's outcome."""
        self._print(f"  {escape(text)}")

    def on_message(self, text: str) -> None:
        """Write a sentence that must be read."""
        self._print(f"  [yellow]{escape(text)}[/]")

    def on_train_start(self, num_epochs: int, total_steps: int, num_train: int, num_val: int) -> None:
        """Say how long the run is."""
        self._said_at = time.monotonic()
        self._print(
            f"  {num_epochs} epochs, {total_steps} steps; {num_train} images to train on, {num_val} to validate on"
        )

    def on_step(self, view: StepView) -> None:
        """Move training's bar, or write a line now and then."""
        state = (
            f"epoch {view.epoch}/{view.num_epochs} loss {view.loss:.3f} {view.images_per_s:.0f} images/s "
            f"data {format_percent(view.data_wait, 0)} ETA {format_duration(view.remaining_s)}"
        )
        if self.live:
            self._bar(view.step, view.total_steps, state)
        elif time.monotonic() - self._said_at >= PLAIN_EVERY_S:
            self._said_at = time.monotonic()
            self._print(f"  step {view.step}/{view.total_steps} {state}")

    def on_epoch(self, record: EpochRecord, is_best: bool) -> None:
        """Write a validation's outcome."""
        self._print(
            f"  epoch {record.epoch}: train loss {record.train_loss:.3f}, val loss {record.val_loss:.3f}, "
            f"top-1 {format_percent(record.val_top1)}{' [green]best[/]' if is_best else ''}, "
            f"{record.images_per_s:.0f} images/s, waiting for data {format_percent(record.data_wait, 0)}"
        )

    def _bar(self, done: int, total: int, state: str) -> None:
        if self._task is None:
            self._task = self._progress.add_task("", total=total, state="")
        self._progress.update(self._task, completed=done, total=total, state=escape(state))

    def _end_task(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None

    def _print(self, markup: str) -> None:
        if not self.quiet:
            target = self._progress.console if self.live else self.console
            target.print(markup, soft_wrap=True)
