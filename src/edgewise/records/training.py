"""What a training run did, epoch by epoch, and what came out."""

from __future__ import annotations

from edgewise.records.record import Record


class InitialWeights(Record):
    """The file whose weights a training started from."""

    source: str
    """A hub id, or a file's name without folders."""
    sha256: str
    """Of the file."""
    notes: tuple[str, ...] = ()
    """What had to be changed to load it, a line each."""


class EpochRecord(Record):
    """One epoch. Column names of `results.csv` are these field names."""

    epoch: int
    """From 1."""
    step: int
    """Optimiser steps so far."""
    elapsed_s: float
    lr: float
    train_loss: float
    val_loss: float
    val_top1: float
    val_top5: float
    images_per_s: float
    data_wait: float
    """Share of the epoch's training time spent waiting for data, 0-1."""


class ClassResult(Record):
    """One class of the validation set."""

    label: str
    num_images: int
    recall: float
    precision: float


class EvalRecord(Record):
    """A model's answers on a labelled set."""

    num_images: int
    loss: float
    top1: float
    top5: float
    confusion: tuple[tuple[int, ...], ...]
    """Rows are true classes, columns predicted ones, in the order of `labels`."""
    labels: tuple[str, ...]
    classes: tuple[ClassResult, ...]


class TrainRecord(Record):
    """A finished training run."""

    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    best_top1: float
    train_s: float
    """Seconds spent in this run's processes, restarts included."""
    num_train_images: int
    num_val_images: int
    peak_rss_bytes: int
    resumed: int = 0
    """How often the run was continued from a checkpoint."""
