"""`export`: one file from a trained model."""

from __future__ import annotations

from pathlib import Path

from edgewise.deploy.export import export
from edgewise.errors import InputError
from edgewise.pipeline.datasets import open_named
from edgewise.pipeline.deployment import NUM_CALIBRATION, NUM_REAL
from edgewise.pipeline.images import array_batches, images_of, spread
from edgewise.pipeline.trained import load_trained
from edgewise.records.artifact import Artifact
from edgewise.records.run import Job
from edgewise.train.run_folder import RunFolder


def export_run(
    source: str,
    out_dir: Path,
    *,
    format: str = "onnx",  # noqa: A002
    precision: str = "fp32",
    data: str | None = None,
    max_drop: float = 0.01,
    force: bool = False,
) -> Artifact:
    """Export a run's best model into ``out_dir`` and verify it.

    Args:
        source: a run's folder or its best.safetensors.
        out_dir: a new folder, or an earlier export's.
        format: as in ``onnx``.
        precision: ``fp32`` or ``int8``.
        data: real images; by default the data set that a run's folder names, where it is still there.
        max_drop: accepted fall of an int8 file's top-1, as a fraction.
        force: replace an earlier export of another model.

    Raises:
        InputError: something given cannot be used; int8 without images.
        ExportError: the file could not be made, or does not answer like the model; nothing was written.
    """
    trained = load_trained(source)
    data = data or _data_of(source)
    if data is None:
        if precision == "int8":
            raise InputError("int8 needs real images to calibrate with: give --data FOLDER")
        return export(
            trained.model,
            out_dir,
            format=format,
            precision=precision,
            preprocessing=trained.preprocessing,
            labels=trained.labels,
            model_name=trained.name,
            force=force,
        )
    dataset = open_named(data)
    recipe = trained.preprocessing
    return export(
        trained.model,
        out_dir,
        format=format,
        precision=precision,
        preprocessing=recipe,
        labels=trained.labels,
        model_name=trained.name,
        real=images_of(spread(dataset.val, NUM_REAL), recipe),
        labelled=array_batches(dataset.val, recipe) if dataset.labels == trained.labels else None,
        calibration=images_of(spread(dataset.train, NUM_CALIBRATION), recipe) if precision == "int8" else None,
        max_drop=max_drop,
        force=force,
    )


def _data_of(source: str) -> str | None:
    record = RunFolder(Path(source)).job
    if not record.is_file():
        return None
    data = Job.load(record).data
    return data if data == "digits" or Path(data).exists() else None
