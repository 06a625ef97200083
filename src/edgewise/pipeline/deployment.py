"""From a trained model to measured files: export, verify, evaluate, time."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.bench.case import Case
from edgewise.bench.protocol import measure_cases
from edgewise.data.dataset import Dataset
from edgewise.deploy.evaluate import Answers, agreement, evaluate_file
from edgewise.deploy.export import export
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ExportError, OutputError, shown
from edgewise.pipeline.forms import Form
from edgewise.pipeline.images import ArrayBatches, array_batches, images_of, spread
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.trained import Trained
from edgewise.records.artifact import Artifact
from edgewise.records.environment import usable_cores
from edgewise.records.run import FileResult
from edgewise.report.formatting import format_bytes, format_percent, format_threads
from edgewise.report.mixed import layers_sentence

NUM_CALIBRATION = 256
NUM_REAL = 256
LAUNCHES = 3
"""Processes that each file is timed in."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One file, verified, with its answers on the validation set."""

    name: str
    path: Path
    runtime: str
    artifact: Artifact
    top1: float
    agreement: float
    """Share of validation images on which it answers like the torch model."""


def export_all(
    trained: Trained, dataset: Dataset, out_dir: Path, *, forms: Sequence[Form], max_drop: float, listener: JobListener
) -> tuple[Exported, ...]:
    """Export a model in every form, verify each and let it answer the whole validation set.

    Where top-1 of int8 falls too far, its most sensitive layers stay in float if the format can mix. A form that fails its
    verification nevertheless is said and left out, but for those that are required.

    Raises:
        ExportError: a required file could not be made or does not answer like the model.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(out_dir)} cannot be written: {error.strerror}") from error
    for stale in out_dir.glob(".*.new"):  # of an export that was killed
        shutil.rmtree(stale, ignore_errors=True)
    recipe = trained.preprocessing
    labelled = array_batches(dataset.val, recipe)
    real = images_of(spread(dataset.val, NUM_REAL), recipe)
    calibration = images_of(spread(dataset.train, NUM_CALIBRATION), recipe)
    reference = torch_answers(trained, labelled())
    done: list[Exported] = []
    with Workshop() as workshop:
        for form in forms:
            name = form.name
            listener.on_stage(f"Exporting {name}, verifying it in {form.runtime}")
            try:
                artifact = export(
                    trained.model,
                    out_dir / name,
                    format=form.format,
                    precision=form.precision,
                    preprocessing=recipe,
                    labels=trained.labels,
                    model_name=trained.name,
                    real=real,
                    labelled=labelled,
                    calibration=calibration if form.precision == "int8" else None,
                    max_drop=max_drop,
                    mixed=form.mixed,
                    workshop=workshop,
                )
            except ExportError as error:
                if form.required:
                    raise
                listener.on_message(f"{name} is left out: {error}")
                continue
            path = out_dir / name / artifact.files[0]
            answers = evaluate_file(path, labelled(), runtime=form.runtime, artifact=artifact, threads=usable_cores())
            same = agreement(answers.predicted, reference.predicted)
            done.append(
                Exported(
                    name=name, path=path, runtime=form.runtime, artifact=artifact, top1=answers.top1, agreement=same
                )
            )
            listener.on_result(
                f"{name}: {format_bytes(artifact.file_bytes)}, top-1 {format_percent(answers.top1)}, "
                f"agrees with the model on {format_percent(same)} "
                f"of {len(answers.targets)} validation images"
            )
            if artifact.layers:
                listener.on_result(f"{name}: {layers_sentence(artifact.layers)}")
    return tuple(done)


def measure_all(exported: Sequence[Exported], *, threads: int, listener: JobListener) -> tuple[FileResult, ...]:
    """Time every file, interleaved, each in a fresh pinned process, and join times with answers."""
    listener.on_stage(f"Timing {len(exported)} files, {format_threads(threads)}")
    cases = [
        Case(
            name=each.name,
            path=each.path,
            runtime=each.runtime,
            format=each.artifact.format,
            precision=each.artifact.precision,
            threads=threads,
            input_shape=(1, *(int(side) for side in each.artifact.input.shape[1:])),
        )
        for each in exported
    ]
    measurements = measure_cases(cases, launches=LAUNCHES, progress=listener.on_progress)
    return tuple(
        FileResult(
            name="torch" if each.runtime == "torch" else each.name,
            # the report takes the row without an artifact as the model itself
            artifact=None if each.runtime == "torch" else each.artifact,
            top1=each.top1,
            agreement=each.agreement,
            measurement=measurement,
        )
        for each, measurement in zip(exported, measurements, strict=True)
    )


def torch_answers(trained: Trained, batches: ArrayBatches) -> Answers:
    """Return what the trained model itself answers."""
    predicted: list[NDArray[np.int64]] = []
    targets: list[NDArray[np.int64]] = []
    for images, truth in batches:
        predicted.append(trained.logits(images).argmax(axis=1))
        targets.append(truth)
    return Answers(predicted=np.concatenate(predicted), targets=np.concatenate(targets))
