"""From a trained module to a verified file in a folder of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from torch import nn
from torch.export import ExportedProgram

from edgewise.blocks.fuse import fuse
from edgewise.blocks.state_hash import sha256_of_state
from edgewise.deploy.answers import Images
from edgewise.deploy.artifact_folder import check_target, fill, staged
from edgewise.deploy.convert import convert, sensitivities
from edgewise.deploy.exporters.protocol import Exporter, MixingExporter
from edgewise.deploy.exporters.registry import (
    check_installed,
    check_mixing,
    check_precision,
    get_exporter,
    layout_of,
)
from edgewise.deploy.interface import NETWORK, Interface
from edgewise.deploy.metadata import origin_of
from edgewise.deploy.mixed import keep_in_float
from edgewise.deploy.quantise import check_calibration
from edgewise.deploy.runtimes.registry import can_run
from edgewise.deploy.structure import verify_structure
from edgewise.deploy.target import Target, own_preprocessing
from edgewise.deploy.verify import Labelled, check_judges
from edgewise.deploy.verify import verify as verify_file
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ConfigError, InputError, VerificationError
from edgewise.graph.capture import capture
from edgewise.records.artifact import Artifact, LayerPrecision, Preprocessing, VerificationRecord


def export(
    model: nn.Module,
    out_dir: Path,
    *,
    format: str = "onnx",  # noqa: A002
    precision: str = "fp32",
    preprocessing: Preprocessing | None = None,
    labels: Sequence[str] = (),
    model_name: str = "model",
    real: Images | None = None,
    labelled: Labelled | None = None,
    calibration: Images | None = None,
    max_drop: float = 0.01,
    allow_drop: bool = False,
    mixed: bool = False,
    force: bool = False,
    timeout_s: float = 600,
    verify: bool = True,
    dynamic_batch: bool | None = None,
    batch: int = 1,
    fold_normalize: bool = False,
    softmax: bool = False,
    layout: str | None = None,
    credits_: Mapping[str, str] | None = None,
    workshop: Workshop | None = None,
) -> Artifact:
    """Fuse, capture, convert and verify ``model``; the folder ``out_dir`` appears only when all of it went well.

    The folder then holds the file, ``artifact.json``, ``labels.txt``, ``preprocessing.json`` and programs that answer pictures with it
    (``predict.py``; for some formats, other languages too). An artifact that was there before is replaced as a whole, and stays when
    the new one fails.

    Args:
        model: any module from normalised images (N, C, S, S) to logits (N, num_classes); left as it is.
        out_dir: where to write; its parent must exist.
        format: a name of the exporters' table, as in ``onnx``, ``openvino`` or ``tflite``.
        precision: one that the format has: ``fp32`` always, ``int8`` or ``int8-weights`` (nothing to calibrate) for most.
        preprocessing: how an image becomes the input; its `mean` has one value per input channel. By default that of
            ImageNet at the size that an Edgewise model was built for.
        labels: class names in the order of the logits; may be empty.
        model_name: names the file: letters, digits, ``.``, ``_`` and ``-``.
        real: normalised real images (N, C, S, S), float32, to verify on; the first 256 are used.
        labelled: gives labelled batches (images, labels) afresh at each call; precisions below fp32 are judged on them.
        calibration: at least 32 different normalised real images (N, C, S, S), float32; needed by ``int8``.
        max_drop: accepted fall of a reduced precision's top-1, as a fraction.
        allow_drop: keep a file whose top-1 falls further; its record says that it failed and was forced. A file that fails for
            another reason is never kept.
        mixed: where top-1 of ``int8`` falls too far, keep its most sensitive layers in float, as few as are needed; which ones stands in
            the record.
        force: replace an artifact of another model, or one with files of somebody else beside it.
        timeout_s: seconds that the conversion may take.
        verify: whether to compare the file with the model.
        dynamic_batch: whether the file takes any batch size; by default where that costs no speed (``onnx``, ``pt2``).
        batch: images that a file takes at once whose batch is not dynamic.
        fold_normalize: the file takes pixels as they stand in a picture, 0 to 255 as float32, and normalises them by itself; its record's
            preprocessing then says ``mean`` 0 and ``std`` 1/255.
        softmax: the file gives probabilities instead of logits.
        layout: order of the file's input, ``nchw`` or ``nhwc``; by default what the format's runtime likes (``tflite``: ``nhwc``).
        credits_: more metadata for the file, such as ``author`` and ``license``.
        workshop: shared by exports that follow each other or run in threads beside each other; its own by default.

    Returns:
        What stands in ``artifact.json``.

    Raises:
        UnknownNameError: there is no such format or precision.
        ConfigError: the format has no mixed precision, or not that layout, or a fixed batch.
        MissingExtraError: the format's packages are not installed.
        InputError: a name, the labels, the images or the model cannot be used.
        OutputError: `out_dir` cannot or must not be written.
        ExportError: the conversion failed or took too long.
        VerificationError: the file does not answer like the model; nothing was written.
    """
    exporter = get_exporter(format)
    check_precision(exporter, precision)
    check_installed(exporter)
    preprocessing = preprocessing or own_preprocessing(model)
    interface = Interface(fold_normalize=fold_normalize, softmax=softmax, layout=layout_of(exporter, layout))
    target = Target(
        exporter=exporter,
        precision=precision,
        model_name=model_name,
        preprocessing=preprocessing,
        interface=interface,
        labels=tuple(labels),
        batch=_batch(exporter, dynamic_batch, batch),
        source_sha256=sha256_of_state(model.state_dict()),
        credits_=credits_ or {},
        origin=origin_of(model),
    )
    target.check_names()
    if precision == "int8":
        check_calibration(calibration, in_chs=target.network_shape[0], img_size=preprocessing.img_size)
    if mixed:
        check_mixing(exporter, precision)
        if labelled is None or not verify:
            raise InputError("mixed precision is searched by top-1 on labelled images; none were given")
    if verify and precision != "fp32" and can_run(exporter.runtime):
        check_judges(precision, real, labelled)
    check_target(out_dir, model_name=model_name, force=force)
    with ExitStack() as stack:
        shop = workshop if workshop is not None else stack.enter_context(Workshop())
        folder = stack.enter_context(staged(out_dir))
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgewise-work-"))
        path = folder / f"{model_name}{exporter.suffix}"

        def captured() -> ExportedProgram:
            deployed = interface.around(fuse(model).cpu().float(), preprocessing)
            return capture(deployed, target.example, dynamic_batch=target.batch is None)

        with shop.lock:
            num_classes = target.num_classes(model)
            form = interface, preprocessing, target.batch
            program = shop.captured(model, target.source_sha256, form, captured)

        def judge() -> VerificationRecord:
            with shop.lock:
                if not can_run(exporter.runtime):
                    return verify_structure(
                        path,
                        program,
                        preprocessing=preprocessing,
                        interface=interface,
                        num_classes=num_classes,
                        model=model,
                        precision=precision,
                        metadata=target.metadata,
                    )
                return verify_file(
                    path,
                    model,
                    runtime=exporter.runtime,
                    preprocessing=preprocessing,
                    interface=interface,
                    precision=precision,
                    real=real,
                    labelled=labelled,
                    max_drop=max_drop,
                    dynamic_batch=target.batch is None,
                    batch=target.batch,
                    metadata=target.metadata,
                    reference=shop.answers(model, target.source_sha256),
                )

        images = (
            interface.given(calibration, preprocessing) if precision == "int8" and calibration is not None else None
        )
        write = partial(
            convert,
            program,
            path,
            format=exporter.format,
            precision=precision,
            metadata=target.metadata,
            output_name=interface.output,
            calibration=images,
            work=Path(work) if mixed else None,
            timeout_s=timeout_s,
            workshop=shop,
        )
        write()
        record = judge() if verify else None
        layers: tuple[LayerPrecision, ...] = ()
        if mixed and record is not None and record.fell_too_far and images is not None:
            measured = sensitivities(
                program, Path(work), format=exporter.format, calibration=images, timeout_s=timeout_s, workshop=shop
            )
            record, layers = keep_in_float(measured, write, judge)
        if record is not None and not record.passed:
            if not (allow_drop and record.fell_too_far):
                raise VerificationError(_failure(target, record, mixed=mixed))
            record = record.model_copy(update={"forced": True})
        with shop.lock:
            artifact = target.artifact(
                path, num_classes=num_classes, verification=record, layers=tuple(map(_as_in_the_model, layers))
            )
        fill(folder, artifact)
    return artifact


def _failure(target: Target, record: VerificationRecord, *, mixed: bool) -> str:
    """Return what went wrong, and what to try where top-1 alone is to blame."""
    format_ = target.exporter.format
    text = f"{target.model_name} as {format_} {target.precision} fails verification: {record.reason}"
    if not record.fell_too_far:
        return text
    if mixed:
        text += "; keeping layers in float does not help"
    elif target.precision == "int8" and isinstance(target.exporter, MixingExporter):
        text += "; mixed (--mixed) keeps the most sensitive layers in float"
    return f"{text}; allow_drop (--allow-drop) keeps the file, marked as failed"


def _batch(exporter: Exporter, dynamic: bool | None, batch: int) -> int | None:
    """Return the batch of the file to come; None where it is dynamic."""
    if dynamic and not exporter.can_batch:
        raise ConfigError(f"{exporter.format} files have a fixed batch; give batch, not dynamic_batch")
    if batch < 1:
        raise ConfigError(f"batch is {batch}; must be 1 or more")
    return None if (exporter.batches_by_default and batch == 1 if dynamic is None else dynamic) else batch


def _as_in_the_model(layer: LayerPrecision) -> LayerPrecision:
    """Return ``layer`` by its name in the model, not in what was put around it."""
    return layer.model_copy(update={"name": layer.name.removeprefix(f"{NETWORK}.")})
