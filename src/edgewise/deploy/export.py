"""From a trained module to a verified file in a folder of its own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.blocks.state_hash import sha256_of_state
from edgewise.deploy.answers import Images, module_answer
from edgewise.deploy.artifact_folder import check_target, fill, staged
from edgewise.deploy.convert import convert, sensitivities
from edgewise.deploy.exporters.protocol import Exporter, ExportOptions, MixingExporter
from edgewise.deploy.exporters.registry import check_installed, check_mixing, check_precision, get_exporter
from edgewise.deploy.identity import model_sha256
from edgewise.deploy.metadata import describe, origin_of
from edgewise.deploy.mixed import keep_in_float
from edgewise.deploy.quantise import check_calibration
from edgewise.deploy.runtimes.formats import files_of, model_bytes
from edgewise.deploy.runtimes.registry import can_run
from edgewise.deploy.structure import verify_structure
from edgewise.deploy.verify import Labelled, check_judges
from edgewise.deploy.verify import verify as verify_file
from edgewise.errors import ConfigError, InputError, VerificationError, shown
from edgewise.graph.capture import capture
from edgewise.records.artifact import Artifact, InputSpec, LayerPrecision, Preprocessing, VerificationRecord
from edgewise.records.environment import capture_environment

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to come out of a model."""

    exporter: Exporter
    precision: str
    model_name: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    batch: int | None
    """Images that the file takes at once; None = any number."""
    source_sha256: str
    """Of the weights before fusing."""
    credits_: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """The text that travels inside the file."""
        return describe(
            model_name=self.model_name,
            precision=self.precision,
            labels=self.labels,
            preprocessing=self.preprocessing,
            source_sha256=self.source_sha256,
            origin=self.origin,
            credits_=self.credits_,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one input."""
        return len(self.preprocessing.mean), self.preprocessing.img_size, self.preprocessing.img_size


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
    credits_: Mapping[str, str] | None = None,
) -> Artifact:
    """Fuse, capture, convert and verify ``model``; the folder ``out_dir`` appears only when all of it went well.

    The folder then holds the file, ``artifact.json``, ``labels.txt``, ``preprocessing.json`` and programs that answer pictures with it
    (``predict.py``; for some formats, other languages too). An artifact that was there before is replaced as a whole, and stays when
    the new one fails.

    Args:
        model: any module from images (N, C, S, S) to logits (N, num_classes); left as it is.
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
        credits_: more metadata for the file, such as ``author`` and ``license``.

    Returns:
        What stands in ``artifact.json``.

    Raises:
        UnknownNameError: there is no such format or precision.
        ConfigError: the format has no mixed precision, or a fixed batch.
        MissingExtraError: the format's packages are not installed.
        InputError: a name, the labels, the images or the model cannot be used.
        OutputError: `out_dir` cannot or must not be written.
        ExportError: the conversion failed or took too long.
        VerificationError: the file does not answer like the model; nothing was written.
    """
    exporter = get_exporter(format)
    check_precision(exporter, precision)
    check_installed(exporter)
    preprocessing = preprocessing or _own_preprocessing(model)
    target = Target(
        exporter=exporter,
        precision=precision,
        model_name=model_name,
        preprocessing=preprocessing,
        labels=tuple(labels),
        batch=_batch(exporter, dynamic_batch, batch),
        source_sha256=sha256_of_state(model.state_dict()),
        credits_=credits_ or {},
        origin=origin_of(model),
    )
    _check_names(target)
    if precision == "int8":
        check_calibration(calibration, in_chs=target.input_shape[0], img_size=preprocessing.img_size)
    if mixed:
        check_mixing(exporter, precision)
        if labelled is None or not verify:
            raise InputError("mixed precision is searched by top-1 on labelled images; none were given")
    if verify and precision != "fp32" and can_run(exporter.runtime):
        check_judges(precision, real, labelled)
    check_target(out_dir, model_name=model_name, force=force)
    with staged(out_dir) as folder, tempfile.TemporaryDirectory(prefix="edgewise-work-") as work:
        num_classes = _num_classes(model, target)
        path = folder / f"{model_name}{exporter.suffix}"
        example = torch.zeros(target.batch or 2, *target.input_shape)
        program = capture(fuse(model).cpu().float(), example, dynamic_batch=target.batch is None)

        def judge() -> VerificationRecord:
            if not can_run(exporter.runtime):
                return verify_structure(
                    path,
                    program,
                    preprocessing=preprocessing,
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
                precision=precision,
                real=real,
                labelled=labelled,
                max_drop=max_drop,
                dynamic_batch=target.batch is None,
                batch=target.batch,
                metadata=target.metadata,
            )

        write = partial(
            convert,
            program,
            path,
            format=exporter.format,
            precision=precision,
            metadata=target.metadata,
            calibration=calibration if precision == "int8" else None,
            work=Path(work) if mixed else None,
            timeout_s=timeout_s,
        )
        write()
        record = judge() if verify else None
        layers: tuple[LayerPrecision, ...] = ()
        if mixed and record is not None and record.fell_too_far and calibration is not None:
            measured = sensitivities(
                program, Path(work), format=exporter.format, calibration=calibration, timeout_s=timeout_s
            )
            record, layers = keep_in_float(measured, write, judge)
        if record is not None and not record.passed:
            if not (allow_drop and record.fell_too_far):
                raise VerificationError(_failure(target, record, mixed=mixed))
            record = record.model_copy(update={"forced": True})
        artifact = _describe_file(path, target, num_classes, record, layers)
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


def _names(path: Path) -> tuple[str, ...]:
    """Return what belongs to a model: names beside ``path``, its own first; a folder counts as one."""
    return (path.name,) if path.is_dir() else tuple(each.name for each in files_of(path))


def _own_preprocessing(model: nn.Module) -> Preprocessing:
    own = getattr(model, "preprocessing", None)
    if not isinstance(own, Preprocessing):
        raise InputError(
            f"{type(model).__name__} does not know its input size; give preprocessing=Preprocessing(img_size=…)"
        )
    return own


def _describe_file(
    path: Path,
    target: Target,
    num_classes: int,
    record: VerificationRecord | None,
    layers: tuple[LayerPrecision, ...],
) -> Artifact:
    return Artifact(
        format=target.exporter.format,
        precision=target.precision,
        files=_names(path),
        file_bytes=model_bytes(path),
        sha256=model_sha256(path.parent, _names(path)),
        model=target.model_name,
        input=InputSpec(
            name=ExportOptions().input_name,
            shape=(target.batch or "batch", *target.input_shape),
        ),
        num_classes=num_classes,
        labels=target.labels,
        preprocessing=target.preprocessing,
        source_sha256=target.source_sha256,
        weights_file_sha256=target.origin.get("weights_file_sha256"),
        weights_source=target.origin.get("weights_source"),
        verification=record,
        layers=layers,
        environment=capture_environment(),
    )


def _check_names(target: Target) -> None:
    if not SAFE_NAME.fullmatch(target.model_name):
        raise InputError(
            f"model name {shown(target.model_name)} cannot name a file; use up to 100 letters, digits, '.', '_' and '-'"
        )
    for index, label in enumerate(target.labels):
        if not label.isascii() and label.encode("utf-8", "replace").decode() != label:
            raise InputError(f"labels[{index}] is {shown(label)}, which is no valid text; rename the class")


def _num_classes(model: nn.Module, target: Target) -> int:
    """Return the number of logits of ``model``, after checking its channels and the labels against it."""
    num_chs = target.input_shape[0]
    in_chs = _in_chs(model)
    if in_chs not in {None, num_chs}:
        raise InputError(f"the model takes {in_chs} channels, preprocessing has {num_chs} means; must be equal")
    try:
        logits = module_answer(model)(torch.zeros(1, *target.input_shape).numpy())
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"the model cannot run on one image {target.input_shape}: {reason}") from error
    if target.labels and len(target.labels) != logits.shape[1]:
        raise InputError(f"{len(target.labels)} labels were given for {logits.shape[1]} logits; must be equal")
    return int(logits.shape[1])


def _in_chs(model: nn.Module) -> int | None:
    """Return the channels that ``model`` takes: its own ``in_chans``, else those of its first convolution."""
    own = getattr(model, "in_chans", None)
    if isinstance(own, int):
        return own
    return next((module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)), None)
