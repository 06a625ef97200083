"""`export`: files from a trained model, or from a model by name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from edgewise.data.dataset import Dataset
from edgewise.deploy.answers import Images
from edgewise.deploy.export import export
from edgewise.deploy.exporters.protocol import MixingExporter
from edgewise.deploy.exporters.registry import (
    EXPORTERS,
    LAYOUTS,
    check_mixing,
    check_precision,
    get_exporter,
    layout_of,
)
from edgewise.deploy.verify import Labelled
from edgewise.deploy.workshop import Workshop, conversions_at_once
from edgewise.errors import ConfigError, ExportError, InputError, MissingExtraError, OutputError, shown, unknown_name
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


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export, and how it is judged."""

    source: str
    """A run's folder or its best.safetensors; or what `models.resolve` takes: ``NAME.TAG`` for published weights, a name, a spec
    file or ``timm:NAME`` for fresh ones."""
    precision: str = "fp32"
    data: str | None = None
    """Real images; by default the data set that a run's folder names, where it is still there."""
    max_drop: float = 0.01
    """Accepted fall of a reduced precision's top-1, as a fraction."""
    allow_drop: bool = False
    """Keep a file whose top-1 falls further, marked as failed."""
    mixed: bool = False
    """Keep the most sensitive layers of int8 files in float where top-1 falls too far."""
    force: bool = False
    """Replace an earlier export of another model."""
    img_size: int | None = None
    """Side in pixels of a model by name; its own by default."""
    fold_normalize: bool = False
    """Files take pixels from 0 to 255 and normalise them by themselves."""
    softmax: bool = False
    """Files give probabilities instead of logits."""
    layout: str | None = None
    """``nchw`` or ``nhwc``; by default what each format's runtime likes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one format."""

    format: str
    folder: Path
    artifact: Artifact | None
    reason: str = ""
    """Why there is none."""
    missing: bool = False
    """Whether the reason is a package that is not installed."""
    wall_s: float = 0.0
    """What it took beside the others: capturing, converting, verifying, and waiting for its turn in between."""


def export_run(
    request: ExportRequest,
    out_dir: Path,
    format: str = "onnx",  # noqa: A002
    listener: JobListener | None = None,
) -> Artifact:
    """Export a run's best model, or a model by name, into ``out_dir`` and verify it.

    Args:
        request: what to export.
        out_dir: a new folder, or an earlier export's.
        format: as in ``onnx``.
        listener: hears of it.

    Raises:
        InputError: something given cannot be used; int8 without images.
        ExportError: the file could not be made, or does not answer like the model; nothing was written.
    """
    _check_asked(request, format)
    return Exporting.prepared(request, listener or JobListener()).write(out_dir, format, request.precision)


def export_formats(
    request: ExportRequest, out_dir: Path, formats: Sequence[str], listener: JobListener | None = None
) -> list[Outcome]:
    """Export into ``out_dir/FORMAT-PRECISION`` for each of ``formats``; what cannot be made is told, and the rest goes on.

    Raises:
        InputError: something given cannot be used, by any format.
    """
    listener = listener or JobListener()
    for name in formats:
        _check_asked(request, name)
    exporting = Exporting.prepared(request, listener)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{shown(out_dir)} cannot be written: {error.strerror}") from error
    outcomes: dict[int, Outcome] = {}
    listener.on_stage(f"Exporting {', '.join(formats)}")
    listener.on_progress(0, len(formats))
    with Workshop() as workshop:
        tasks = [
            partial(_outcome, exporting, out_dir / f"{name}-{request.precision}", name, workshop) for name in formats
        ]
        for place, outcome in workshop.beside_each_other(tasks, exporting.at_once, formats):
            outcomes[place] = outcome
            listener.on_progress(len(outcomes), len(formats))
    return [outcomes[place] for place in range(len(formats))]


def _outcome(exporting: Exporting, folder: Path, format_: str, workshop: Workshop) -> Outcome:
    begun = time.monotonic()
    artifact, reason, missing = None, "", False
    try:
        artifact = exporting.write(folder, format_, exporting.request.precision, workshop=workshop)
    except (ExportError, MissingExtraError) as error:
        reason, missing = str(error), isinstance(error, MissingExtraError)
    wall_s = time.monotonic() - begun
    return Outcome(format=format_, folder=folder, artifact=artifact, reason=reason, missing=missing, wall_s=wall_s)


def _check_asked(request: ExportRequest, format_: str) -> None:
    if not 0 <= request.max_drop <= 1:
        raise ConfigError(f"max_drop is {request.max_drop}; must be a fraction within 0 and 1")
    check_precision(get_exporter(format_), request.precision)
    layout_of(get_exporter(format_), request.layout)
    if request.mixed:
        check_mixing(get_exporter(format_), request.precision)


def formats_with(precision: str, *, mixed: bool = False, layout: str | None = None) -> list[str]:
    """Return the formats that have ``precision`` and ``layout``, and, where it is to be mixed, can keep layers in float.

    Raises:
        UnknownNameError: none has; those that there are are listed.
    """
    if layout is not None and layout not in LAYOUTS:
        raise unknown_name("layout", layout, LAYOUTS)
    found = [
        name
        for name, exporter in EXPORTERS.items()
        if precision in exporter.precisions and layout in (None, *exporter.layouts)
    ]
    if mixed and precision == "int8":
        return [name for name in found if isinstance(EXPORTERS[name], MixingExporter)]
    if not found:
        raise unknown_name("precision", precision, sorted({each for e in EXPORTERS.values() for each in e.precisions}))
    return found


@dataclass(kw_only=True)
class Exporting:
    """A model with the images that its files are judged on; they are read once, when they are needed."""

    request: ExportRequest
    trained: Trained

    @classmethod
    def prepared(cls, request: ExportRequest, listener: JobListener) -> Exporting:
        """Load the model of ``request``.

        Raises:
            InputError: something given cannot be used.
        """
        return cls(request=request, trained=_loaded(request.source, request.img_size, listener))

    @cached_property
    def dataset(self) -> Dataset | None:
        """Return the images that the request or the run's folder names; None where there are none."""
        data = self.request.data or _data_of(self.request.source)
        return None if data is None else open_named(data)

    @cached_property
    def real(self) -> Images | None:
        """Return images to compare answers on."""
        return (
            None if self.dataset is None else images_of(spread(self.dataset.val, NUM_REAL), self.trained.preprocessing)
        )

    @cached_property
    def labelled(self) -> Labelled | None:
        """Return what gives labelled images, where their classes are the model's."""
        if self.dataset is None or self.dataset.labels != self.trained.labels:
            return None
        return array_batches(self.dataset.val, self.trained.preprocessing)

    @cached_property
    def calibration(self) -> Images | None:
        """Return images to calibrate on."""
        if self.dataset is None:
            return None
        return images_of(spread(self.dataset.train, NUM_CALIBRATION), self.trained.preprocessing)

    @property
    def at_once(self) -> int:
        """Return how many threads export this model's files best: one conversion each, and one that verifies."""
        return 1 + conversions_at_once(sum(weight.numel() for weight in self.trained.model.parameters()))

    def write(
        self,
        out_dir: Path,
        format_: str,
        precision: str = "fp32",
        *,
        batch: int = 1,
        dynamic_batch: bool | None = None,
        judge: bool = True,
        workshop: Workshop | None = None,
    ) -> Artifact:
        """Export one file.

        Args:
            out_dir: a new folder, or an earlier export's.
            format_: as in ``onnx``.
            precision: one that the format has.
            batch: images a call, where the file has a fixed batch.
            dynamic_batch: whether it takes any; by default where that costs no speed.
            judge: whether a reduced precision without images to judge it on is refused; else it is written, not verified.
            workshop: shared with other exports.

        Raises:
            InputError: int8 without images.
            ExportError: the file could not be made, or does not answer like the model; nothing was written.
        """
        trained = self.trained
        with workshop.lock if workshop is not None else nullcontext():  # images are read once
            if precision == "int8" and self.dataset is None:
                raise InputError("int8 needs real images to calibrate with: give --data FOLDER")
            real, labelled = self.real, self.labelled
            calibration = self.calibration if precision == "int8" else None
        return export(
            trained.model,
            out_dir,
            format=format_,
            precision=precision,
            preprocessing=trained.preprocessing,
            labels=trained.labels,
            model_name=trained.name,
            real=real,
            labelled=labelled,
            calibration=calibration,
            max_drop=self.request.max_drop,
            allow_drop=self.request.allow_drop,
            mixed=self.request.mixed,
            force=self.request.force,
            verify=judge or precision == "fp32" or labelled is not None,
            batch=batch,
            dynamic_batch=dynamic_batch,
            fold_normalize=self.request.fold_normalize,
            softmax=self.request.softmax,
            layout=self.request.layout,
            workshop=workshop,
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
