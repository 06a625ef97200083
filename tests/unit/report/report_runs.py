"""Runs made by hand: a minimal one, and one with every part."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from edgewise.records.artifact import Artifact, InputCheck, InputSpec, Preprocessing, VerificationRecord
from edgewise.records.cost import CostReport, PartCost
from edgewise.records.data import DataSummary, SkippedFile
from edgewise.records.environment import Environment
from edgewise.records.measurement import Measurement
from edgewise.records.run import Candidate, Choice, FileResult, RunRecord, SamplePrediction
from edgewise.records.training import ClassResult, EpochRecord, EvalRecord, TrainRecord

ENVIRONMENT = Environment(
    made_at="2026-10-03T14:22:00+00:00",
    python="3.12.7",
    system="Linux 6.8",
    machine="x86_64",
    cpu="Some CPU @ 2.5 GHz",
    num_cores=2,
    memory_bytes=8_000_000_000,
    versions={"edgewise": "0.1.0", "torch": "2.14.0"},
)


def make_epochs(count: int) -> tuple[EpochRecord, ...]:
    """Epochs of a training that goes well; the first validation loss is far off, as with cold BN statistics."""
    return tuple(
        EpochRecord(
            epoch=epoch,
            step=12 * epoch,
            elapsed_s=2.5 * epoch,
            lr=0.001,
            train_loss=0.5 + 1.8 / epoch,
            val_loss=40.0 if epoch == 1 and count > 5 else 0.4 + 1.9 / epoch,
            val_top1=1 - 0.9 / (epoch + 0.5),
            val_top5=1 - 0.3 / (epoch + 0.5),
            images_per_s=612.4,
            data_wait=0.031,
        )
        for epoch in range(1, count + 1)
    )


def make_evaluation(labels: tuple[str, ...], per_class: int = 36) -> EvalRecord:
    """Answers on ``per_class`` images a class; class i is taken i % 4 times for the next one."""
    classes = len(labels)
    confusion = np.zeros((classes, classes), dtype=int)
    for row in range(classes):
        confusion[row, row] = per_class - row % 4
        confusion[row, (row + 1) % classes] += row % 4
    right = np.diag(confusion)
    columns = confusion.sum(axis=0)
    total = int(confusion.sum())
    return EvalRecord(
        num_images=total,
        loss=0.4321,
        top1=float(right.sum()) / total,
        top5=0.998,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        labels=labels,
        classes=tuple(
            ClassResult(label=label, num_images=per_class, recall=right[i] / per_class, precision=right[i] / columns[i])
            for i, label in enumerate(labels)
        ),
    )


def make_measurement(name: str, latency_ms: float, **changes: object) -> Measurement:
    """A trusted measurement whose interval is 2 % wide on both sides."""
    values: dict[str, object] = {
        "name": name,
        "runtime": "onnxruntime",
        "format": "onnx",
        "precision": "fp32",
        "threads": 1,
        "batch": 1,
        "input_shape": (1, 3, 32, 32),
        "latency_ms": latency_ms,
        "ci_low_ms": 0.98 * latency_ms,
        "ci_high_ms": 1.02 * latency_ms,
        "p90_ms": 1.1 * latency_ms,
        "min_ms": 0.95 * latency_ms,
        "images_per_s": 1000 / latency_ms,
        "load_ms": 31.0,
        "peak_rss_bytes": 90_000_000,
        "file_bytes": 9_000_000,
        "verdict": "trusted",
        "reason": "",
        "block_medians_ms": (latency_ms,),
        "samples_ms": ((latency_ms,),),
        "environment": ENVIRONMENT,
    }
    return Measurement.model_validate(values | changes)


def make_artifact(precision: str, labels: tuple[str, ...], **changes: object) -> Artifact:
    """A verified ONNX file."""
    int8 = precision == "int8"
    verification = VerificationRecord(
        runtime="onnxruntime",
        passed=True,
        tolerance=0.0 if int8 else 1e-4,
        checks=(
            InputCheck(
                name="real", num_inputs=360, max_abs_diff=0.41 if int8 else 3.1e-6, max_abs_logit=9.87, top1_agreement=1
            ),
            InputCheck(name="zeros", num_inputs=1, max_abs_diff=0.0, max_abs_logit=3.2, top1_agreement=1),
        ),
        batch_sizes=(1, 2, 7),
        top1_model=0.98 if int8 else None,
        top1_file=0.975 if int8 else None,
        max_drop=0.01 if int8 else None,
    )
    values: dict[str, object] = {
        "format": "onnx",
        "precision": precision,
        "files": (f"model_{precision}.onnx",),
        "file_bytes": 2_600_000 if int8 else 10_012_345,
        "sha256": "ab" * 32,
        "model": "mobilenetv4_conv_small",
        "input": InputSpec(name="image", shape=("batch", 3, 32, 32)),
        "num_classes": len(labels),
        "labels": labels,
        "preprocessing": Preprocessing(img_size=32),
        "source_sha256": "cd" * 32,
        "verification": verification,
        "environment": ENVIRONMENT,
    }
    return Artifact.model_validate(values | changes)


def make_file(name: str, precision: str | None, top1: float | None, measurement: Measurement | None) -> FileResult:
    """A row of the file table; ``precision`` None is the torch model."""
    artifact = make_artifact(precision, ("a", "b")) if precision else None
    return FileResult(name=name, artifact=artifact, top1=top1, agreement=0.9972, measurement=measurement)


def make_picture(size: int = 32) -> str:
    """A grey ramp as base64 PNG."""
    ramp = np.linspace(0, 255, size * size * 3).reshape(size, size, 3).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def make_minimal_run(**changes: object) -> RunRecord:
    """A run that did nothing but read its data."""
    values: dict[str, object] = {
        "name": "fit3",
        "model": "mobilenetv4_conv_small",
        "created_at": "2026-10-03T14:22:00+00:00",
        "command": "edgewise train digits",
        "config": {},
        "data": DataSummary(
            source="digits",
            labels=("a", "b"),
            train_counts=(40, 41),
            val_counts=(9, 8),
            split="folders",
            fingerprint="ef",
        ),
        "environment": ENVIRONMENT,
    }
    return RunRecord.model_validate(values | changes)


def make_full_run(labels: tuple[str, ...] = tuple("0123456789"), epochs: int = 8) -> RunRecord:
    """A run with every part of the report."""
    evaluation = make_evaluation(labels)
    stage = PartCost(
        path="stages.0", kind="ConvNormAct", out_shape=(1, 32, 16, 16), macs=221_184, params=928, activations=8_192
    )
    return make_minimal_run(
        command="edgewise quickstart --name 'fit 3'",
        config={
            "model": "mobilenetv4_conv_small",
            "epochs": epochs,
            "lr": 0.004,
            "mixup": None,
            "aug": ["randaugment"],
        },
        data=DataSummary(
            source="sklearn digits",
            labels=labels,
            train_counts=tuple(140 + i for i in range(len(labels))),
            val_counts=(36,) * len(labels),
            split="stratified 80/20, seed 0",
            skipped=(SkippedFile(path="7/b\\nad.jpg", reason="truncated after 812 bytes"),),
            notes=("3 pictures have the same pixels",),
            fingerprint="0f" * 32,
        ),
        choice=Choice(
            max_ms=5.0,
            runtime="onnxruntime",
            threads=1,
            candidates=(
                Candidate(
                    name="mobilenetv4_conv_small",
                    img_size=224,
                    published_top1=0.738,
                    macs=185_000_000,
                    params=3_774_024,
                    latency_ms=4.21,
                    verdict="trusted",
                    chosen=True,
                    note="best published accuracy within the budget",
                ),
                Candidate(
                    name="mobilenetv4_conv_medium",
                    img_size=224,
                    published_top1=0.799,
                    macs=837_000_000,
                    params=9_715_512,
                    latency_ms=15.8,
                    verdict="trusted",
                    chosen=False,
                    note="3.2 times the budget",
                ),
                Candidate(
                    name="mobilenetv4_conv_large",
                    img_size=384,
                    published_top1=0.829,
                    macs=6_440_000_000,
                    params=32_590_864,
                    latency_ms=None,
                    verdict="",
                    chosen=False,
                    note="not measured: more MACs than a model that is already too slow",
                ),
            ),
            reason="mobilenetv4_conv_small has the best published accuracy of the models within 5 ms.",
        ),
        cost=CostReport(
            model="mobilenetv4_conv_small",
            input_shape=(1, 3, 32, 32),
            params=2_506_794,
            macs=9_876_544,
            activations=123_456,
            stages=(stage, stage.model_copy(update={"path": "stages.1", "macs": 9_000_000, "params": 2_000_000})),
            blocks=(stage,),
            ops=(),
        ),
        training=TrainRecord(
            epochs=make_epochs(epochs),
            best_epoch=max(1, epochs - 1),
            best_top1=0.98,
            train_s=71.6,
            num_train_images=1437,
            num_val_images=360,
            peak_rss_bytes=612_000_000,
            resumed=1,
        ),
        evaluation=evaluation,
        files=(
            FileResult(
                name="torch",
                artifact=None,
                top1=evaluation.top1,
                agreement=1.0,
                measurement=make_measurement("torch", 3.456, runtime="torch", format="torch", p90_ms=None),
            ),
            FileResult(
                name="model_fp32.onnx",
                artifact=make_artifact("fp32", labels),
                top1=evaluation.top1,
                agreement=1.0,
                measurement=make_measurement("fp32", 0.9876),
            ),
            FileResult(
                name="model_int8.onnx",
                artifact=make_artifact("int8", labels),
                top1=evaluation.top1 - 0.005,
                agreement=0.9944,
                measurement=make_measurement(
                    "int8", 0.5432, precision="int8", verdict="noisy", reason="others ran too"
                ),
            ),
            FileResult(
                name="model_fp32_b8.onnx",
                artifact=make_artifact("fp32", labels),
                top1=evaluation.top1,
                agreement=1.0,
                measurement=make_measurement("b8", 0.1234, verdict="rejected", reason="drift of 31 % between halves"),
            ),
        ),
        samples=tuple(
            SamplePrediction(
                image_png_base64=make_picture(),
                truth=labels[i % len(labels)],
                top=((labels[i % len(labels)] if i % 3 else labels[1], 0.91), (labels[-1], 0.06), (labels[0], 0.01)),
            )
            for i in range(8)
        ),
    )
