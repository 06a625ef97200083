"""`train`: a run without deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgewise.errors import ConfigError
from edgewise.pipeline.datasets import absolute, open_named
from edgewise.pipeline.fit import DEFAULT_MODEL
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.qat import QatStart, check_options, find_qat_start
from edgewise.pipeline.reporting import write_run_report
from edgewise.pipeline.settings import changed_config, resolve_config
from edgewise.pipeline.training import resume, start
from edgewise.records.run import Job
from edgewise.records.training import TrainRecord
from edgewise.train.config import TrainConfig, load_config
from edgewise.train.run_folder import RunFolder, new_run_folder, open_run_folder


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What a person asked `train` for."""

    data: str
    project: Path = Path("runs")
    name: str = "train"
    model: str | None = None
    qat: str | None = None
    """A trained checkpoint to train further as int8 computes it: what `qat.find_qat_start` takes."""
    img_size: int | None = None
    recipe: str | None = None
    val_share: float = 0.2
    split_seed: int = 0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    command: str = "edgewise train"


def run_training(request: TrainRequest, listener: JobListener) -> tuple[RunFolder, TrainRecord]:
    """Train a new run and write its report.

    Raises:
        InputError: something in the request cannot be used; nothing was written.
        TrainingError: the run cannot go on, or a signal stopped it.
    """
    folder = new_run_folder(request.project, request.name)
    model = request.model or DEFAULT_MODEL
    qat = _qat_start(request)

    def resolved(num_images: int) -> TrainConfig:
        if qat is not None:
            return qat.config(num_images, request.overrides)
        return resolve_config(
            model,
            img_size=request.img_size,
            num_images=num_images,
            recipe=request.recipe,
            overrides=request.overrides,
        )

    resolved(1)  # refuses bad settings before any work
    listener.on_stage("Reading the data set")
    dataset = open_named(
        request.data, val_share=request.val_share, split_seed=request.split_seed, progress=listener.on_progress
    )
    if qat is not None:
        qat.check_data(dataset.labels)
    job = Job(
        kind="train",
        data=absolute(request.data),
        val_share=request.val_share,
        split_seed=request.split_seed,
        command=request.command,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    config = resolved(len(dataset.train))
    record = start(folder, job, config, dataset, listener, loaded=qat.loaded if qat is not None else None)
    write_run_report(folder, dataset)
    return folder, record


def _qat_start(request: TrainRequest) -> QatStart | None:
    if request.qat is None:
        return None
    check_options({"model": request.model, "recipe": request.recipe, "img_size": request.img_size, **request.overrides})
    return find_qat_start(request.qat)


def resume_training(
    path: Path, listener: JobListener, *, data: str | None = None, changed: Mapping[str, Any] | None = None
) -> tuple[RunFolder, TrainRecord]:
    """Go on with a run, and write its report.

    Args:
        path: the run's folder.
        listener: hears of it.
        data: where the data set lies now, if it was moved.
        changed: settings that the person gave; they must be the run's own, but for those that do not touch the result.

    Raises:
        OutputError: there is no run at ``path``.
        ResumeMismatchError: another config, class list or data set.
        ConfigError: ``changed`` names a checkpoint for ``qat``.
    """
    given = dict(changed or {})
    if given.pop("qat", None) is not None:
        raise ConfigError("a run that is resumed knows its checkpoint; give --resume without --qat")
    config = changed_config(load_config(open_run_folder(path).config), given)
    folder, _, dataset, record = resume(path, listener, data=data, config=config)
    write_run_report(folder, dataset)
    return folder, record
