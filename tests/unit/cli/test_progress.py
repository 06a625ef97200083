"""What a job's watcher writes where there is no terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgewise.cli import progress
from edgewise.cli.progress import TerminalListener
from edgewise.records.training import EpochRecord
from edgewise.train.listener import StepView

EPOCH = EpochRecord(
    epoch=3,
    step=30,
    elapsed_s=9.0,
    lr=0.1,
    train_loss=0.5,
    val_loss=0.25,
    val_top1=0.875,
    val_top5=1.0,
    images_per_s=120.0,
    data_wait=0.04,
)
STEP = StepView(
    step=5,
    total_steps=40,
    epoch=1,
    num_epochs=4,
    loss=1.25,
    lr=0.1,
    images_per_s=100.0,
    data_wait=0.07,
    remaining_s=65.0,
)


def _watch(listener: TerminalListener) -> None:
    with listener:
        listener.on_stage("Reading [red]")
        listener.on_progress(1, 2)
        listener.on_progress(2, 2)
        listener.on_result("12 images")
        listener.on_train_start(4, 40, 10, 2)
        listener.on_step(STEP)
        listener.on_epoch(EPOCH, True)
        listener.on_message("int8 is left out")


def test_plain_lines_without_a_terminal() -> None:
    out = io.StringIO()
    _watch(TerminalListener(Console(file=out, width=300)))
    assert out.getvalue().splitlines() == [
        "Reading [red]",
        "  12 images",
        "  4 epochs, 40 steps; 10 images to train on, 2 to validate on",
        "  epoch 3: train loss 0.500, val loss 0.250, top-1 87.5 % best, 120 images/s, waiting for data 4 %",
        "  int8 is left out",
    ]


def test_a_step_is_written_now_and_then(monkeypatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    out = io.StringIO()
    with TerminalListener(Console(file=out, width=300)) as listener:
        listener.on_step(STEP)
    assert "step 5/40 epoch 1/4 loss 1.250 100 images/s data 7 % ETA" in out.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_writes_nothing(terminal) -> None:
    out = io.StringIO()
    _watch(TerminalListener(Console(file=out, width=300, force_terminal=terminal), quiet=True))
    assert out.getvalue() == ""
