"""The whole job: choose, train, export, verify, measure, report."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgewise.data.dataset import Dataset
from edgewise.errors import ConfigError
from edgewise.models.catalogue import CANDIDATES
from edgewise.models.resolve import resolve
from edgewise.pipeline.choose import Budget, choose, matching, with_weights
from edgewise.pipeline.datasets import absolute, open_named
from edgewise.pipeline.deployment import export_all, measure_all
from edgewise.pipeline.forecast import forecast_for
from edgewise.pipeline.forms import formats_to_deploy, forms_of
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.reporting import write_run_report
from edgewise.pipeline.settings import check_img_size, resolve_config
from edgewise.pipeline.trained import load_run
from edgewise.pipeline.training import resume, start
from edgewise.records.run import Choice, Job, RunRecord
from edgewise.train.run_folder import RunFolder, new_run_folder

DEFAULT_MODEL = "mobilenetv4_conv_small"


@dataclass(frozen=True, kw_only=True)
class FitRequest:
    """What a person asked `fit` for."""

    data: str
    project: Path = Path("runs")
    name: str = "fit"
    max_ms: float | None = None
    runtime: str = "onnxruntime"
    formats: tuple[str, ...] = ()
    """Of the files to deploy, as `forms.formats_to_deploy` takes them."""
    threads: int = 1
    """Of the deployed file; training uses all cores."""
    model: str | None = None
    models: str | None = None
    """Patterns of the candidates, with commas between them; only beside `max_ms`."""
    img_size: int | None = None
    time_budget_s: float | None = None
    recipe: str | None = None
    val_share: float = 0.2
    split_seed: int = 0
    max_drop: float = 0.01
    overrides: Mapping[str, Any] = field(default_factory=dict)
    command: str = "edgewise fit"


def fit(request: FitRequest, listener: JobListener) -> tuple[RunFolder, RunRecord]:
    """Go from a folder of images to a trained, exported, verified and measured model with a report.

    Raises:
        InputError: something in the request cannot be used; nothing was written.
        ExportError: the fp32 file of the first format could not be made or does not answer like the model; the trained weights are there.
        TrainingError: the run cannot go on, or a signal stopped it.
    """
    begun = time.monotonic()
    folder = new_run_folder(request.project, request.name)
    if request.img_size is not None:
        check_img_size(request.img_size)
    if request.models is not None and (request.max_ms is None or request.model is not None):
        raise ConfigError("models are candidates for a latency budget: they go with max_ms, and without model")
    _budget(request, num_classes=2).check()
    formats = formats_to_deploy(request.formats, request.runtime)
    if not 0 <= request.max_drop <= 1:
        raise ConfigError(f"max_drop is {request.max_drop}; must be a fraction within 0 and 1")
    if request.overrides.get("weights") and request.max_ms is not None and request.model is None:
        raise ConfigError(
            "weights are of one model: give it with model, or take pretrained for the candidates of max_ms"
        )
    resolve_config(  # refuses bad settings before any work
        request.model or DEFAULT_MODEL,
        img_size=request.img_size,
        num_images=1,
        recipe=request.recipe,
        # without a model, which weights are to be fetched is not known yet
        overrides=dict(request.overrides) | ({} if request.model else {"pretrained": None}),
    )
    listener.on_stage("Reading the data set")
    dataset = open_named(
        request.data, val_share=request.val_share, split_seed=request.split_seed, progress=listener.on_progress
    )
    listener.on_result(
        f"{len(dataset.train)} training and {len(dataset.val)} validation images of {len(dataset.labels)} classes"
        + (f", {len(dataset.summary.skipped)} files skipped" if dataset.summary.skipped else "")
    )
    choice = _choice(request, dataset, listener)
    model = next(each.name for each in choice.candidates if each.chosen) if choice else request.model or DEFAULT_MODEL
    job = Job(
        kind="fit",
        data=absolute(request.data),
        val_share=request.val_share,
        split_seed=request.split_seed,
        command=request.command,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        choice=choice,
        runtime=request.runtime,
        formats=formats,
        threads=request.threads,
        max_drop=request.max_drop,
    )
    overrides = dict(request.overrides)
    if request.time_budget_s is not None:
        img_size = request.img_size or resolve(model).img_size
        reserve = min(
            deploy_reserve_s(len(dataset.val), img_size, num_files=len(forms_of(formats))), request.time_budget_s / 3
        )
        overrides["time_budget_s"] = max(1.0, request.time_budget_s - reserve - (time.monotonic() - begun))
    config = resolve_config(
        model,
        img_size=request.img_size,
        num_images=len(dataset.train),
        recipe=request.recipe,
        overrides=overrides,
    )
    start(folder, job, config, dataset, listener)
    return folder, deploy_run(folder, job, dataset, listener)


def deploy_reserve_s(num_val: int, img_size: int, num_files: int = 3) -> float:
    """Return the seconds of a time budget to keep for export, verification, timing and the report.

    Three exports, timing and the report take about a minute on 2 cores; each file makes the whole validation set be answered about
    twice, by the model or the file, at under 1 ms an image for decoding and some more for the network.
    """
    return 25.0 * num_files + 2 * num_files * num_val * (0.8 + 2.5 * (img_size / 128) ** 2) / 1000


def resume_fit(path: Path, listener: JobListener, data: str | None = None) -> tuple[RunFolder, RunRecord]:
    """Go on with a `fit` that was stopped, in training or behind it.

    Raises:
        OutputError: there is no run at ``path``.
        ResumeMismatchError: the data set is not the one that the run began with.
    """
    folder, job, dataset, _ = resume(path, listener, data=data)
    return folder, deploy_run(folder, job, dataset, listener)


def deploy_run(folder: RunFolder, job: Job, dataset: Dataset, listener: JobListener) -> RunRecord:
    """Export, verify, time and report the best weights of a trained run."""
    trained = load_run(folder)
    forms = forms_of(job.formats)
    exported = export_all(trained, dataset, folder.exports, forms=forms, max_drop=job.max_drop, listener=listener)
    files = measure_all(exported, threads=job.threads, listener=listener)
    listener.on_stage("Writing the report")
    return write_run_report(folder, dataset, trained, files)


def _choice(request: FitRequest, dataset: Dataset, listener: JobListener) -> Choice | None:
    if request.max_ms is None:
        return None
    forecast = forecast_for(request.runtime, request.threads, listener)
    how = "Predicting candidates' latencies, and measuring the best ones," if forecast else "Measuring candidates"
    listener.on_stage(f"{how} in {request.runtime}, {request.threads} thread(s), for {request.max_ms:g} ms")
    choice = choose(_budget(request, len(dataset.labels)), listener, forecast=forecast)
    listener.on_result(choice.reason)
    return choice


def _budget(request: FitRequest, num_classes: int) -> Budget:
    """Return what the model may cost; without a limit in ms, any that passes the check."""
    return Budget(
        max_ms=request.max_ms if request.max_ms is not None else 1.0,
        runtime=request.runtime,
        threads=request.threads,
        num_classes=num_classes,
        img_size=request.img_size,
        width_mult=request.overrides.get("width_mult") or 1.0,
        models=_candidates(request),
    )


def _candidates(request: FitRequest) -> tuple[str, ...]:
    if request.model is not None:
        return (request.model,)
    names = CANDIDATES if request.models is None else matching(request.models)
    return with_weights(names) if request.overrides.get("pretrained") else names
