"""Starting, resuming and illustrating a training run."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import numpy as np

from edgewise.data.augment import TrainTransform
from edgewise.data.dataset import Dataset
from edgewise.data.loader import TrainLoader
from edgewise.errors import OutputError, ResumeMismatchError, shown
from edgewise.pipeline.datasets import open_named
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network import network_spec
from edgewise.records.data import DataSummary
from edgewise.records.files import write_atomically
from edgewise.records.run import Job
from edgewise.records.training import EvalRecord, TrainRecord
from edgewise.report.plots import plot_confusion, plot_curves
from edgewise.report.sheet import contact_sheet
from edgewise.spec.model import ModelSpec
from edgewise.spec.text import dump_spec, parse_spec
from edgewise.train.config import TrainConfig, differences, load_config, save_config
from edgewise.train.initial_weights import LoadedStart, load_start
from edgewise.train.loop import TrainJob, train
from edgewise.train.run_folder import RunFolder, open_run_folder
from edgewise.train.run_lock import RunLock


def start(
    folder: RunFolder,
    job: Job,
    config: TrainConfig,
    dataset: Dataset,
    listener: JobListener,
    *,
    loaded: LoadedStart | None = None,
) -> TrainRecord:
    """Write what decides the run into ``folder``, then train.

    Args:
        folder: of the new run.
        job: what was asked for.
        config: of the run.
        dataset: to train and validate on.
        listener: hears of it.
        loaded: the network to go on with; by default that of the config's model, with its weights where it names any.

    Raises:
        WeightsError: the weights to start from cannot be had, or do not fit; nothing was written.
        OutputError: the folder cannot be written or is taken.
        TrainingError: as `train.loop.train`.
    """
    if loaded is None:
        spec = network_spec(
            config.model,
            img_size=config.preprocessing.img_size,
            num_classes=len(dataset.labels),
            width_mult=config.width_mult,
            in_chans=len(config.preprocessing.mean),
        )
        loaded = load_start(spec, config, config.weights) if config.weights is not None else None
    if loaded is not None:
        spec, job = loaded.network.spec, job.model_copy(update={"initial_weights": loaded.record})
        listener.on_result(f"Starting from the weights {loaded.record.source}, SHA-256 {loaded.record.sha256[:12]}…")
        for note in loaded.record.notes:
            listener.on_message(note)
    folder.create()
    try:
        if loaded is not None:
            loaded.keep(folder.initial)
        _write_inputs(folder, job, config, spec, dataset)
    except BaseException as error:
        # nothing was trained yet, and the folder is ours: leave no half of a run behind
        shutil.rmtree(folder.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise OutputError(f"{shown(folder.path)} cannot be written: {error.strerror}") from error
        raise
    with RunLock(folder.path):
        return _train(folder, job, config, spec, dataset, listener)


def _write_inputs(folder: RunFolder, job: Job, config: TrainConfig, spec: ModelSpec, dataset: Dataset) -> None:
    save_config(config, folder.config)
    write_atomically(folder.model_spec, (dump_spec(spec) + "\n").encode())
    write_atomically(folder.labels, ("\n".join(dataset.labels) + "\n").encode())
    dataset.summary.save(folder.data_summary)
    job.save(folder.job)
    _draw_first_batch(folder, config, dataset)


def resume(
    path: Path, listener: JobListener, *, data: str | None = None, config: TrainConfig | None = None
) -> tuple[RunFolder, Job, Dataset, TrainRecord]:
    """Go on with the run at ``path`` from its newest whole checkpoint.

    Args:
        path: the run's folder.
        listener: hears of it.
        data: where the data set lies now, if it was moved.
        config: settings that the person asked for; they must be the run's own.

    Raises:
        OutputError: there is no run at ``path``, or another process is in it.
        ResumeMismatchError: other settings, classes or images than the run began with; the message names the difference.
    """
    folder = open_run_folder(path)
    stored = load_config(folder.config)
    if config is not None and (changed := differences(stored, config)):
        raise ResumeMismatchError(
            f"{shown(path)} was started with other settings: {'; '.join(changed)}; resume without them, or start a new run"
        )
    with RunLock(folder.path):
        folder.remove_leftovers()
        job = Job.load(folder.job)
        listener.on_stage("Reading the data set")
        dataset = open_named(
            data or job.data, val_share=job.val_share, split_seed=job.split_seed, progress=listener.on_progress
        )
        _check_same_data(path, DataSummary.load(folder.data_summary), dataset.summary)
        spec = parse_spec(folder.model_spec.read_bytes(), shown(folder.model_spec))
        return folder, job, dataset, _train(folder, job, config or stored, spec, dataset, listener)


def _check_same_data(path: Path, old: DataSummary, new: DataSummary) -> None:
    if old.labels != new.labels:
        gone, come = sorted(set(old.labels) - set(new.labels)), sorted(set(new.labels) - set(old.labels))
        what = f"classes differ: missing {gone}, new {come}" if gone or come else "the order of classes differs"
        raise ResumeMismatchError(f"{shown(path)}: {what}; resume with the data set that the run began with")
    if old.fingerprint != new.fingerprint:
        counts = f"{sum(old.train_counts)}+{sum(old.val_counts)} images then, {sum(new.train_counts)}+{sum(new.val_counts)} now"
        raise ResumeMismatchError(
            f"{shown(path)}: the images are not those that the run began with ({counts}); restore them, or start a new run"
        )


def _train(
    folder: RunFolder, job: Job, config: TrainConfig, spec: ModelSpec, dataset: Dataset, listener: JobListener
) -> TrainRecord:
    command = "train" if job.kind == "train" else "fit"
    simulated = ", its int8 form simulated" if config.qat else ""
    listener.on_stage(f"Training {config.model} at {config.preprocessing.img_size} px{simulated}")
    record = train(
        TrainJob(
            config=config,
            spec=spec,
            dataset=dataset,
            folder=folder,
            listener=listener,
            resume_command=f"edgewise {command} --resume {shlex.quote(str(folder.path))}",
        )
    )
    plot_curves(record.epochs, folder.path / "curves.png")
    plot_confusion(EvalRecord.load(folder.eval_record), folder.path / "confusion_matrix.png")
    return record


def _draw_first_batch(folder: RunFolder, config: TrainConfig, dataset: Dataset, most: int = 32) -> None:
    """Write the first batch as the network sees it."""
    transform = TrainTransform(config.augment, config.preprocessing.img_size, config.preprocessing.interpolation)
    loader = TrainLoader(dataset.train, transform, batch_size=min(most, config.batch), seed=config.seed)
    batch = next(loader.epoch(0))
    images = np.ascontiguousarray(batch.images.permute(0, 2, 3, 1).numpy())
    contact_sheet(images, [dataset.labels[int(t)] for t in batch.targets], folder.path / "train_batch0.png")
