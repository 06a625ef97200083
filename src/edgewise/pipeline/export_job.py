"""`export`: one file from a trained model, or from a model by name."""

from __future__ import annotations

from pathlib import Path

from edgewise.deploy.export import export
from edgewise.errors import ConfigError, InputError, shown
from edgewise.models.factory import create_model
from edgewise.models.resolve import is_model_name, resolve
from edgewise.pipeline.datasets import open_named
from edgewise.pipeline.deployment import NUM_CALIBRATION, NUM_REAL
from edgewise.pipeline.images import array_batches, images_of, spread
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.settings import check_img_size
from edgewise.pipeline.trained import Trained, load_trained
from edgewise.records.artifact import Artifact, Preprocessing
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
    img_size: int | None = None,
    listener: JobListener | None = None,
) -> Artifact:
    """Export a run's best model, or a model by name, into ``out_dir`` and verify it.

    Args:
        source: a run's folder or its best.safetensors; or what `models.resolve` takes: ``NAME.TAG`` for published weights, a
            name, a spec file or ``timm:NAME`` for fresh ones.
        out_dir: a new folder, or an earlier export's.
        format: as in ``onnx``.
        precision: ``fp32`` or ``int8``.
        data: real images; by default the data set that a run's folder names, where it is still there.
        max_drop: accepted fall of an int8 file's top-1, as a fraction.
        force: replace an earlier export of another model.
        img_size: side in pixels of a model by name; its own by default.
        listener: hears of it.

    Raises:
        InputError: something given cannot be used; int8 without images.
        ExportError: the file could not be made, or does not answer like the model; nothing was written.
    """
    trained = _loaded(source, img_size, listener or JobListener())
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


def _loaded(source: str, img_size: int | None, listener: JobListener) -> Trained:
    if not is_model_name(source) or Path(source).is_dir():
        if img_size is not None:
            raise ConfigError(f"img_size is for models by name; {shown(source)} is exported at the size of its run")
        return load_trained(source)
    if img_size is not None:
        check_img_size(img_size)
    named = resolve(source)
    if named.names_weights:
        model = create_model(source, pretrained=True, img_size=img_size)
    else:
        listener.on_message(f"{source} has fresh random weights: the file is good for timing, not for answers")
        model = named.build(img_size)
    recipe = getattr(model, "preprocessing", None)
    if not isinstance(recipe, Preprocessing):
        raise InputError(f"{shown(source)} prepares its images in a way that an exported file cannot state")
    return Trained(name=named.name, model=model.eval(), spec=named.spec, labels=(), preprocessing=recipe)


def _data_of(source: str) -> str | None:
    record = RunFolder(Path(source)).job
    if not record.is_file():
        return None
    data = Job.load(record).data
    return data if data == "digits" or Path(data).exists() else None
