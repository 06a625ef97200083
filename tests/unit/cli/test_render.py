"""Names that people give are shown as they are."""

from __future__ import annotations

import json
from pathlib import Path

from edgewise.cli.render import render_artifact, render_evaluation, render_exports
from edgewise.pipeline.export_job import Outcome
from edgewise.records.artifact import Artifact, InputSpec, LayerPrecision, Preprocessing, VerificationRecord
from edgewise.records.environment import Environment
from edgewise.records.paired import PairedTop1
from edgewise.records.training import ClassResult, EvalRecord

LABELS = ("[/]", "[red]apple", "plain")
RECORD = EvalRecord(
    num_images=3,
    loss=0.5,
    top1=1.0,
    top5=1.0,
    confusion=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    labels=LABELS,
    classes=tuple(ClassResult(label=label, num_images=1, recall=1.0, precision=1.0) for label in LABELS),
)


def test_labels_with_brackets(capsys) -> None:
    render_evaluation(RECORD, as_json=False)
    out = capsys.readouterr().out
    assert all(label in out for label in LABELS)


def test_json_is_the_record(capsys) -> None:
    render_evaluation(RECORD, as_json=True)
    captured = capsys.readouterr()
    assert json.loads(captured.out) == RECORD.model_dump(mode="json")
    assert captured.err == ""


PAIRED = PairedTop1.counted(both=90, model_only=6, file_only=1, neither=3)
FORCED = Artifact(
    format="onnx",
    precision="int8",
    files=("m.onnx",),
    file_bytes=1000,
    sha256="ab" * 32,
    model="m",
    input=InputSpec(name="images", shape=("batch", 3, 32, 32)),
    num_classes=2,
    labels=("a", "b"),
    preprocessing=Preprocessing(img_size=32),
    source_sha256="cd" * 32,
    verification=VerificationRecord(
        runtime="onnxruntime",
        passed=False,
        tolerance=0.0,
        checks=(),
        batch_sizes=(1, 2, 7),
        top1_model=0.96,
        top1_file=0.91,
        max_drop=0.01,
        paired=PAIRED,
        reason="top-1 falls too far",
        forced=True,
    ),
    layers=(
        LayerPrecision(name="head[0]", sqnr_db=7.25, in_float=True),
        *(LayerPrecision(name=f"layer {number}", sqnr_db=20.0 + number) for number in range(8)),
    ),
    environment=Environment(
        made_at="2026-10-03T14:22:00+00:00",
        python="3.12.7",
        system="Linux",
        machine="x86_64",
        cpu="cpu",
        num_cores=2,
        memory_bytes=8_000_000_000,
        versions={},
    ),
)


def test_what_a_file_takes_and_gives_is_told(capsys) -> None:
    render_artifact(FORCED, Path("out"), as_json=False)
    assert "takes normalised images (batch, 3, 32, 32), nchw; gives logits\n" in capsys.readouterr().out
    pixels = InputSpec(name="images", shape=(1, 32, 32, 3), layout="nhwc", values="0-255")
    folded = FORCED.model_copy(update={"input": pixels, "output": "probabilities", "transposes": 1})
    render_artifact(folded, Path("out"), as_json=False)
    told = "takes RGB pixels from 0 to 255 (1, 32, 32, 3), nhwc; gives probabilities; 1 transpose inside\n"
    assert told in capsys.readouterr().out
    render_exports([Outcome(format="onnx", folder=Path("out"), artifact=folded)], as_json=False)
    out = " ".join(capsys.readouterr().out.split())
    assert "takes transposes verified in" in out
    assert "nhwc 0-255 1 onnxruntime" in out


def test_a_forced_file_in_mixed_precision(capsys) -> None:
    render_artifact(FORCED, Path("out"), as_json=False)
    out = " ".join(capsys.readouterr().out.split())
    assert "verified in onnxruntime; top-1 91.0 %, the model's is 96.0 %" in out
    assert "top-1 changes by −5.00 points on 100 images (95 % interval −10." in out
    assert "the model alone is right on 6, the file alone on 1; exact McNemar p 0.12)" in out
    assert "100 images are too few to be sure: the true fall may be as small as 0 points" in out
    assert "kept on demand although it failed: top-1 falls too far" in out
    assert "head[0] 7.2 float layer 0 20.0 int8" in out
    assert "layer 5" not in out
    assert "1 of 9 layers stayed in float, the most sensitive ones; the other 3 are in int8, see artifact.json" in out


def test_several_exports_tell_the_fall_of_each(capsys) -> None:
    render_exports([Outcome(format="onnx", folder=Path("out"), artifact=FORCED)], as_json=False)
    out = " ".join(capsys.readouterr().out.split())
    assert "onnx: top-1 changes by −5.00 points" in out
    assert "onnx: kept on demand although it failed: top-1 falls too far" in out
    assert "onnx: 1 of 9 layers stayed in float" in out
