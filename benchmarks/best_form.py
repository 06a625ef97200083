"""What Edgewise's files gain over timm's own export of the same weights, on sixteen models and one thread.

Two questions. Like for like: our file against timm's `torch.onnx.export` file, both in ONNX Runtime and both in OpenVINO, fp32. Best
form: our fastest file of any runtime and precision that kept the answers, against timm's file in ONNX Runtime.

    python benchmarks/best_form.py [--data digits] [--formats onnx,openvino,…] [--names a,b] [--out results/best_form.json]

No published weights are within a benchmark's reach, so each model is trained for a minute at 64 px on real handwritten digits (or another
data set): no more is possible in the time, and at that size each file is judged: a reduced precision counts where its top-1 on 300 other
images falls by at most one point, in int8 with the most sensitive layers in float where that is needed. Times are of the same weights at
the model's own size. A model is done when its row is written to `--out`; a second call goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from result_file import RESULTS, check, save_result, this_command
from torch import nn

import edgewise
from edgewise.bench.case import Case
from edgewise.bench.protocol import measure_cases
from edgewise.blocks.fuse import fuse
from edgewise.data.dataset import Dataset
from edgewise.deploy.convert import convert
from edgewise.deploy.export import export
from edgewise.deploy.exporters.protocol import MixingExporter
from edgewise.deploy.exporters.registry import EXPORTERS, get_exporter, layout_of
from edgewise.deploy.interface import Interface
from edgewise.deploy.workshop import Workshop, conversions_at_once
from edgewise.errors import EdgewiseError
from edgewise.graph.capture import capture
from edgewise.models.catalogue import CATALOGUE
from edgewise.pipeline.datasets import open_named
from edgewise.pipeline.images import array_batches, images_of, spread
from edgewise.records.artifact import Artifact, Preprocessing
from edgewise.records.measurement import Measurement

NAMES = (
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv2_140",
    "mobilenetv3_small_100",
    "mobilenetv3_large_100",
    "tf_mobilenetv3_large_minimal_100",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "mobilenetv4_hybrid_medium",
    "mobilenetv4_conv_large",
    "repvit_m0_9",
    "repvit_m1_5",
    "mobileone_s0",
    "mobileone_s4",
    "repvgg_a0",
    "repvgg_b0",
)
PRECISIONS = ("fp32", "bf16", "int8")
MAX_DROP = 0.01
LAUNCHES = 3
"""Of each file: at least three tell apart what differs by a percent."""
TRAINING_BATCH, TRAINING_S, MAX_LR = 32, 60.0, 2e-3
NUM_JUDGING, NUM_CALIBRATING = 300, 64
BASELINE = "timm onnx in onnxruntime"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="labelled images")
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--formats", default=",".join(name for name in EXPORTERS if name != "mlpackage"))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--out", type=Path, default=RESULTS / "best_form.json")
    given = parser.parse_args()
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    checks: list[dict[str, Any]] = []
    for name in given.names.split(","):
        if name not in {row["name"] for row in rows}:
            rows.append(_row(name, _ways(given), given.data))
            checks = _checks(rows)
            save_result(given.out, command=this_command(), threads=1, checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks or _checks(rows)))


def _checks(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    checks = []
    for runtime in ("onnxruntime", "openvino"):
        ratios = [row["like_for_like"][runtime] for row in rows if runtime in row["like_for_like"]]
        if ratios:
            checks.append(
                check(f"like for like in {runtime}, geometric mean", statistics.geometric_mean(ratios), 1.0, "x")
            )
            checks.append(check(f"like for like in {runtime}, worst", max(ratios), 1.03, "x"))
    best = [row["best"]["ratio"] for row in rows]
    checks.append(check("best form, geometric mean", statistics.geometric_mean(best), 0.45, "x"))
    checks.append(check("best form, worst", max(best), 1.0, "x"))
    return checks


def _ways(given: argparse.Namespace) -> list[tuple[str, str]]:
    return [
        (format_, precision)
        for format_ in given.formats.split(",")
        for precision in given.precisions.split(",")
        if precision in EXPORTERS[format_].precisions
    ]


def _row(name: str, ways: Sequence[tuple[str, str]], data: str) -> dict[str, Any]:
    recipe, small, dataset = (
        Preprocessing(img_size=CATALOGUE[name].img_size),
        Preprocessing(img_size=64),
        open_named(data),
    )
    side = recipe.img_size
    calibrating = spread(dataset.train, NUM_CALIBRATING)
    judging = array_batches(spread(dataset.val, NUM_JUDGING), small)
    theirs = timm.create_model(name, num_classes=len(dataset.labels))
    _train(theirs, dataset, small)
    ours = edgewise.create_model(name, num_classes=len(dataset.labels)).eval()
    ours.load_state_dict(theirs.state_dict())
    with tempfile.TemporaryDirectory() as temporary, Workshop() as workshop:
        folder = Path(temporary)
        cases = [_case(BASELINE, _timm_onnx(theirs, folder / "timm.onnx", side), "onnx", "fp32", side)]
        if ("openvino", "fp32") in ways:
            file = _openvino_of(folder / "timm.onnx", folder / "timm.xml")
            cases.append(_case("timm onnx in openvino", file, "openvino", "fp32", side))

        def made(format_: str, precision: str) -> tuple[Path, tuple[int, ...], Artifact] | EdgewiseError:
            """Export twice: as small as it was trained, which is judged, and, with the same layers in float, as large as it is timed."""
            exporter = get_exporter(format_)
            pixels = {form.img_size: images_of(calibrating, form) for form in (small, recipe)}
            try:
                judged = export(
                    ours,
                    folder / f"{format_}-{precision}-small",
                    format=format_,
                    precision=precision,
                    preprocessing=small,
                    labels=dataset.labels,
                    labelled=judging,
                    real=pixels[small.img_size],
                    calibration=pixels[small.img_size] if precision == "int8" else None,
                    max_drop=MAX_DROP,
                    mixed=precision == "int8" and isinstance(exporter, MixingExporter),
                    workshop=workshop,
                )
                interface = Interface(layout=layout_of(exporter, None))
                shape = (1, *interface.shape(recipe))
                with workshop.lock:
                    program = capture(
                        interface.around(fuse(ours), recipe),
                        torch.zeros(shape),
                        dynamic_batch=exporter.batches_by_default,
                    )
                path = folder / f"{format_}-{precision}-own{exporter.suffix}"
                convert(
                    program,
                    path,
                    format=format_,
                    precision=precision,
                    metadata={"precision": precision},  # by which a runtime knows what to compute in
                    calibration=interface.given(pixels[side], recipe) if precision == "int8" else None,
                    keep_float=[layer.name for layer in judged.layers if layer.in_float],
                    workshop=workshop,
                )
            except EdgewiseError as error:
                return error
            return path, shape, judged

        at_once = 1 + conversions_at_once(sum(weight.numel() for weight in ours.parameters()))
        done = dict(
            workshop.beside_each_other([partial(made, *way) for way in ways], at_once, [name for name, _ in ways])
        )
        top1s: dict[str, tuple[float | None, float | None]] = {}
        left_out: dict[str, str] = {}
        in_float: dict[str, list[str]] = {}
        for place, (format_, precision) in enumerate(ways):
            label, outcome = f"ours {format_} {precision}", done[place]
            if isinstance(outcome, EdgewiseError):
                left_out[label] = str(outcome)
                continue
            path, shape, judged = outcome
            assert judged.verification is not None
            top1s[label] = judged.verification.top1_model, judged.verification.top1_file
            in_float[label] = [layer.name for layer in judged.layers if layer.in_float]
            cases.append(_case(label, path, format_, precision, side, shape))
        measured = {
            each.name: each
            for start in range(0, len(cases), 8)
            for each in measure_cases(cases[start : start + 8], launches=LAUNCHES)
        }
    return _summed_up(name, measured, top1s, left_out) | {"layers_in_float": {k: v for k, v in in_float.items() if v}}


def _summed_up(
    name: str,
    measured: dict[str, Measurement],
    top1s: dict[str, tuple[float | None, float | None]],
    left_out: dict[str, str],
) -> dict[str, Any]:
    baseline = measured[BASELINE].latency_ms
    kept = {label: measured[label] for label in top1s}
    best = min(kept, key=lambda label: kept[label].latency_ms)
    pairs = {"onnxruntime": ("ours onnx fp32", BASELINE), "openvino": ("ours openvino fp32", "timm onnx in openvino")}
    row = {
        "name": name,
        "best": {"form": best, "ratio": kept[best].latency_ms / baseline},
        "like_for_like": {
            runtime: measured[mine].latency_ms / measured[other].latency_ms
            for runtime, (mine, other) in pairs.items()
            if mine in measured and other in measured
        },
        "latency_ms": {label: round(each.latency_ms, 4) for label, each in measured.items()},
        "verdicts": {label: each.verdict for label, each in measured.items()},
        "top1_before_and_after": {label: both for label, both in top1s.items() if both[1] is not None},
        "left_out": left_out,
    }
    print({key: row[key] for key in ("name", "best", "like_for_like", "top1_before_and_after")}, flush=True)
    return row


def _train(model: nn.Module, dataset: Dataset, recipe: Preprocessing) -> None:
    """Train for a minute: weights whose answers a rounding does not overturn."""
    images = torch.from_numpy(images_of(dataset.train, recipe))
    targets = torch.tensor([sample.label for sample in dataset.train])
    optimiser = torch.optim.AdamW(model.parameters(), lr=MAX_LR, weight_decay=0.05)
    generator = torch.Generator().manual_seed(0)
    model.train()
    begun = time.monotonic()
    while (done := (time.monotonic() - begun) / TRAINING_S) < 1:
        for group in optimiser.param_groups:
            group["lr"] = MAX_LR * min(done / 0.1, (1 - done) / 0.9)
        chosen = torch.randint(len(images), (TRAINING_BATCH,), generator=generator)
        loss = nn.functional.cross_entropy(model(images[chosen]), targets[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


def _timm_onnx(model: nn.Module, path: Path, side: int) -> Path:
    """Export as timm's users do: `torch.onnx.export` with its defaults."""
    torch.onnx.export(
        model, (torch.zeros(1, 3, side, side),), str(path), dynamo=True, external_data=False, verbose=False
    )
    return path


def _openvino_of(source: Path, target: Path) -> Path:
    import openvino

    openvino.save_model(openvino.convert_model(source), target, compress_to_fp16=False)
    return target


def _case(name: str, path: Path, format_: str, precision: str, side: int, shape: tuple[int, ...] | None = None) -> Case:
    return Case(
        name=name,
        path=path,
        runtime=EXPORTERS[format_].runtime,
        format=format_,
        precision=precision,
        input_shape=shape or (1, 3, side, side),
    )


if __name__ == "__main__":
    main()
