"""How well a calibrated profile predicts latencies of networks that the calibration never saw.

    edgewise calibrate --runtime onnxruntime --threads 1 --budget 15m
    python benchmarks/latency_prediction.py --profile runs/calibrate/profile.json [--sets catalogue,timm,uib] [--out …]

Networks: the whole catalogue, models of timm's of other families, and random networks of universal inverted bottlenecks. Each is exported
with fresh weights and timed twice, in two fresh processes; times are divided by the reference kernel's beside them, and the two times'
own difference is the floor below which no prediction can go. A batch is kept when it is done; a second call goes on.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from result_file import RESULTS, check, save_result, this_command

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.latency_predictor import Predictor
from edgewise.deploy.workshop import Workshop
from edgewise.models.build import build
from edgewise.models.catalogue import list_models
from edgewise.models.resolve import resolve
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network_timer import NetworkTimer
from edgewise.records.latency_profile import LatencyProfile
from edgewise.records.timed import Timed
from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, FusedIBSpec, UIBSpec

TIMM = (
    "fastvit_t8", "fastvit_t12", "fastvit_s12", "fastvit_sa12",
    "efficientvit_b0", "efficientvit_b1", "efficientvit_m0", "efficientvit_m2", "efficientvit_m4",
    "ghostnet_050", "ghostnet_100", "ghostnet_130", "ghostnetv2_100", "repghostnet_050", "repghostnet_100",
    "mobilevit_xxs", "mobilevit_xs", "mobilevit_s", "mobilevitv2_050", "mobilevitv2_075",
    "efficientnet_b0", "efficientnet_b1", "efficientnet_lite0", "tf_efficientnet_lite1", "tinynet_a", "tinynet_e",
    "mnasnet_100", "semnasnet_075", "mnasnet_small", "fbnetc_100", "spnasnet_100", "hardcorenas_a", "hardcorenas_f",
    "lcnet_050", "lcnet_100", "mixnet_s", "mobilenet_edgetpu_v2_xs", "convnext_atto", "convnext_femto", "convnextv2_atto",
    "edgenext_xx_small", "levit_128s", "efficientformerv2_s0", "starnet_s1", "regnetx_002", "regnety_002", "resnet18", "resnet26d",
)  # fmt: skip
NUM_UIB = 200
BATCH = 8
LIMITS = {"conv": 0.95, "hybrid": 0.85}


@dataclass(frozen=True)
class Net:
    """One network to predict."""

    name: str
    set: str
    img_size: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", type=Path, required=True)
    parser.add_argument("--sets", default="catalogue,timm,uib")
    parser.add_argument("--every", type=int, default=1, help="take every n-th network only")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    profile = LatencyProfile.load(given.profile)
    out = given.out or RESULTS / f"latency_prediction_{profile.runtime}_{profile.threads}.json"
    rows = json.loads(out.read_text())["rows"] if out.exists() else []
    left = [
        net
        for net in list(_nets(given.sets.split(",")))[:: given.every]
        if net.name not in {row["name"] for row in rows}
    ]
    with Workshop() as workshop:
        for start in range(0, len(left), BATCH):
            rows += _measured(left[start : start + BATCH], profile, workshop)
            _save(out, rows, profile)
    raise SystemExit(not all(each["passed"] for each in _save(out, rows, profile)))


def _nets(sets: Sequence[str]) -> Iterator[Net]:
    if "catalogue" in sets:
        yield from (Net(name, "catalogue", resolve(name).img_size) for name in list_models())
    if "timm" in sets:
        yield from (Net(f"timm:{name}", "timm", 0) for name in TIMM)
    if "uib" in sets:
        yield from (Net(f"uib_{seed}", "uib", 0) for seed in range(NUM_UIB))


def uib_network(seed: int) -> ModelSpec:
    """Draw a network of MobileNetV4's search space: five stages of universal inverted bottlenecks behind a convolutional stem."""
    rng = random.Random(seed)
    scale = rng.choice([0.5, 0.75, 1.0, 1.25, 1.5])

    def width(chs: float) -> int:
        return max(8, round(chs * scale * rng.uniform(0.8, 1.25) / 8) * 8)

    stages: list[tuple[Any, ...]] = []
    first = width(40)
    stages.append(
        (FusedIBSpec(out_chs=first, kernel=3, stride=2, expand_ratio=float(rng.choice([1, 2, 4]))),)
        if rng.random() < 0.5
        else (ConvSpec(out_chs=first, kernel=3, stride=2), ConvSpec(out_chs=first, kernel=1))
    )
    for chs, depth in ((64, 3), (120, 6), (200, 6)):
        out_chs = width(chs)
        rows = []
        for place in range(rng.randint(1, depth)):
            start, mid = rng.choice([None, 3, 5]), rng.choice([None, 3, 5])
            stride = 2 if place == 0 else 1
            if stride == 2 and mid is None:
                mid = 3
            expand = float(rng.choice([2, 3, 4, 6]))
            rows.append(
                UIBSpec.model_validate(
                    {
                        "out_chs": out_chs,
                        "start_kernel": start,
                        "mid_kernel": mid,
                        "stride": stride,
                        "expand_ratio": expand,
                    }
                )
            )
        stages.append(tuple(rows))
    return ModelSpec(
        name=f"uib_{seed}",
        img_size=rng.choice([160, 192, 224, 256]),
        stem=ConvSpec(out_chs=width(24), kernel=3, stride=2),
        stages=tuple(stages),
        head=ConvHeadSpec(hidden_chs=rng.choice([640, 960, 1280])),
        act=rng.choice(["relu", "relu6", "hard_swish"]),
    )


class _Told(JobListener):
    """Keeps why networks are left out."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def _measured(nets: Sequence[Net], profile: LatencyProfile, workshop: Workshop) -> list[dict[str, Any]]:
    told, predictor = _Told(), Predictor(profile)
    timer = NetworkTimer(profile.runtime, profile.threads, workshop, told)
    first, second = timer.repeated([(_file_name(net), partial(_model, net)) for net in nets], 2)
    rows = []
    for net, one, two in zip(nets, first, second, strict=True):
        if one is None or two is None:
            why = [text for text in told.messages if text.startswith(f"{_file_name(net)} is left out")]
            rows.append({"name": net.name, "set": net.set, "left_out": why[0] if why else "its process died"})
            continue
        rows.append(_predicted(net, predictor) | _compared([one, two], profile))
        rows[-1]["error"] = rows[-1]["predicted_ms"] / rows[-1]["measured_ms"] - 1
        told_ms = f"{rows[-1]['measured_ms']:.3f} ms, predicted {rows[-1]['predicted_ms']:.3f}"
        print(f"{net.name}: {told_ms}, {100 * rows[-1]['error']:+.1f} %", flush=True)
    return rows


def _file_name(net: Net) -> str:
    return net.name.replace(":", "-")


def _predicted(net: Net, predictor: Predictor) -> dict[str, Any]:
    model, side = _model(net)
    report = count(fuse(model), side, fusion=predictor.fusion)
    estimate = predictor.estimate(report.kernels)
    return {
        "name": net.name,
        "set": net.set,
        "img_size": side,
        "kind": "hybrid" if any(each.kind in ("matmul", "attention") for each in report.kernels) else "conv",
        "macs": report.macs,
        "unknown": list(report.unknown),
        "predicted_ms": estimate.latency_ms,
        "low_ms": estimate.low_ms,
        "high_ms": estimate.high_ms,
        "num_outside": len(estimate.outside),
    }


def _model(net: Net) -> tuple[Any, int]:
    if net.set == "uib":
        spec = uib_network(int(net.name.removeprefix("uib_")))
        return build(spec).eval(), spec.img_size
    source = resolve(net.name)
    return source.build(None).eval(), net.img_size or source.img_size


def _compared(times: Sequence[Timed], profile: LatencyProfile) -> dict[str, Any]:
    at_speed = [each.at_speed(profile.reference_ms) for each in times]
    return {
        "measured_ms": statistics.mean(at_speed),
        "raw_ms": [each.latency_ms for each in times],
        "reference_ms": [each.reference_ms for each in times],
        "noise": abs(at_speed[0] / at_speed[1] - 1),
    }


def _save(out: Path, rows: Sequence[dict[str, Any]], profile: LatencyProfile) -> list[dict[str, Any]]:
    timed = [row for row in rows if "error" in row]
    checks = []
    for kind, limit in LIMITS.items():
        own = [row for row in timed if row["kind"] == kind]
        if own:
            within = sum(abs(row["error"]) <= 0.1 for row in own) / len(own)
            checks.append(check(f"{kind}: share within 10 %, of {len(own)}", within, limit, "", at_least=True))
    if len(timed) > 2:
        ranks = [np.argsort(np.argsort([row[key] for row in timed])) for key in ("predicted_ms", "measured_ms")]
        checks.append(check("rank correlation", float(np.corrcoef(ranks)[0, 1]), 0.99, "", at_least=True))
        inside = sum(row["low_ms"] <= row["measured_ms"] <= row["high_ms"] for row in timed) / len(timed)
        checks.append(check("90 % intervals that hold the measured latency", inside, 0.85, "", at_least=True))
    sums = {
        each: {
            "num": len(own),
            "median_abs_error": statistics.median(abs(row["error"]) for row in own),
            "within_10_percent": sum(abs(row["error"]) <= 0.1 for row in own) / len(own),
            "median_noise": statistics.median(row["noise"] for row in own),
            "noise_90th_percentile": float(np.quantile([row["noise"] for row in own], 0.9)),
        }
        for each in ("catalogue", "timm", "uib")
        if (own := [row for row in timed if row["set"] == each])
    }
    calibration = profile.model_dump(mode="json", include={"runtime", "threads", "median_error", "within_10_percent"})
    save_result(
        out,
        command=this_command(),
        checks=checks,
        calibration=calibration | {"num_samples": len(profile.samples)},
        sets=sums,
        rows=list(rows),
    )
    return checks


if __name__ == "__main__":
    main()
