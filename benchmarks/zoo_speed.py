"""Edgewise's models against timm's: eager forward, training step, and our fused form against timm's unfused one.

Both sides of a pair live in one process, hold the same weights and take turns in blocks (ABBA), so that a drift of the machine
cancels; a ratio is the median over rounds. A forward is one batch in eval mode under `inference_mode`; a training step is
forward, cross entropy, backward and an SGD update. Answers are compared before anything is timed.

    python benchmarks/zoo_speed.py [--names a,b] [--device cpu] [--threads 1] [--rounds 12] [--out results/zoo_speed.json]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from result_file import RESULTS, check, save_result, this_command
from torch import nn

import edgewise
from edgewise.bench.schedule import turns
from edgewise.bench.statistics import ratio_interval

NAMES = (
    "mobilenetv1_100",
    "mobilenetv2_100",
    "mobilenetv3_small_100",
    "mobilenetv3_large_100",
    "tf_mobilenetv3_large_100",
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "mobilenetv4_hybrid_medium",
    "repvit_m1_0",
    "mobileone_s0",
    "mobileone_s1",
    "repvgg_a0",
)
FUSED = tuple(name for name in NAMES if "mobilenetv1" not in name and "mobilenet" in name)
MAX_GEOMEAN, MAX_SINGLE, MAX_FUSED = 1.00, 1.05, 0.85
BLOCK_S = 0.25
"""A block of one side lasts about this long; a turn of the machine's clock then hits both sides."""

Call = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12, help="how often each side has a block, in either order")
    parser.add_argument("--img-size", type=int, default=224)
    parser.add_argument("--train-size", type=int, default=160)
    parser.add_argument("--batch", type=int, default=1, help="of the forward pass")
    parser.add_argument("--train-batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS / "zoo_speed.json")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    rows: list[dict[str, Any]] = []
    for name in given.names.split(","):
        rows += [_timed(name, what, pair, given) for what, pair in _pairs(name, given).items()]
    forward, training, fused = (
        {row["name"]: row["ratio"] for row in rows if row["what"] == what} for what in ("forward", "training", "fused")
    )
    checks = [
        check("forward, geometric mean of ours / timm", _geomean(forward), MAX_GEOMEAN, "x"),
        check("training step, geometric mean of ours / timm", _geomean(training), MAX_GEOMEAN, "x"),
        check("forward, slowest of ours / timm", max(forward.values()), MAX_SINGLE, "x"),
        check("training step, slowest of ours / timm", max(training.values()), MAX_SINGLE, "x"),
    ]
    if fused:
        checks.append(check("fused forward, geometric mean of ours / timm unfused", _geomean(fused), MAX_FUSED, "x"))
    device = torch.cuda.get_device_name() if given.device.startswith("cuda") else "cpu"
    settings = {key: value for key, value in vars(given).items() if key != "out"}
    save_result(
        given.out,
        command=this_command(),
        timm=timm.__version__,
        device=device,
        settings=settings,
        checks=checks,
        rows=rows,
    )
    raise SystemExit(not all(each["passed"] for each in checks))


def _pairs(name: str, given: argparse.Namespace) -> dict[str, tuple[Call, Call]]:
    """Return (timm's call, our call) for each thing that is timed."""
    torch.manual_seed(0)
    theirs = timm.create_model(name).to(given.device)
    ours = edgewise.create_model(name).to(given.device)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(given.batch, 3, given.img_size, given.img_size, device=given.device)
    fused = ours.fuse()
    _require_equal(name, theirs.eval(), ours.eval(), fused, images)
    pairs: dict[str, tuple[Call, Call]] = {"forward": (_forward(theirs, images), _forward(ours, images))}
    if name in FUSED:
        pairs["fused"] = (_forward(theirs, images), _forward(fused, images))
    batch = torch.randn(given.train_batch, 3, given.train_size, given.train_size, device=given.device)
    trainees = (timm.create_model(name), edgewise.create_model(name))
    trainees[1].load_state_dict(trainees[0].state_dict())
    first, second = (_training(model.to(given.device).train(), batch) for model in trainees)
    return pairs | {"training": (first, second)}


def _require_equal(name: str, theirs: nn.Module, ours: nn.Module, fused: nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        wanted = theirs(images)
        for model in (ours, fused):
            if (model(images) - wanted).abs().max() > 1e-4 * wanted.abs().max():
                raise SystemExit(f"{name}: the two sides do not answer alike; nothing was timed")


def _forward(model: nn.Module, images: torch.Tensor) -> Call:
    def call() -> None:
        with torch.inference_mode():
            model(images)

    return call


def _training(model: nn.Module, images: torch.Tensor) -> Call:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    targets = torch.arange(len(images), device=images.device)

    def call() -> None:
        F.cross_entropy(model(images), targets).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return call


def _timed(name: str, what: str, pair: tuple[Call, Call], given: argparse.Namespace) -> dict[str, Any]:
    waits = given.device.startswith("cuda")
    calls = max(3, math.ceil(BLOCK_S / _seconds(pair[0], 3, waits=waits)))
    _seconds(pair[1], 3, waits=waits)
    medians = np.empty((2, given.rounds))
    for number in range(given.rounds):
        for side in turns((0, 1), number):
            medians[side, number] = np.median([_seconds(pair[side], 1, waits=waits) for _ in range(calls)])
    theirs, ours = medians
    ratio = float(np.median(ours / theirs))
    low, high = ratio_interval(theirs, ours, paired=True)
    print(
        f"{name:28} {what:9} timm {np.median(theirs) * 1e3:8.2f} ms   edgewise {np.median(ours) * 1e3:8.2f} ms"
        f"   ratio {ratio:.3f} (95 % {low:.3f}-{high:.3f})",
        flush=True,
    )
    return {
        "name": name,
        "what": what,
        "calls_per_block": calls,
        "timm_ms": float(np.median(theirs)) * 1e3,
        "edgewise_ms": float(np.median(ours)) * 1e3,
        "ratio": ratio,
        "ratio_ci95": [low, high],
        "block_medians_ms": {"timm": (theirs * 1e3).tolist(), "edgewise": (ours * 1e3).tolist()},
    }


def _seconds(call: Call, times: int, *, waits: bool) -> float:
    if waits:
        torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(times):
        call()
    if waits:
        torch.cuda.synchronize()
    return (time.perf_counter() - begun) / times


def _geomean(ratios: dict[str, float]) -> float:
    return math.exp(sum(map(math.log, ratios.values())) / len(ratios))


if __name__ == "__main__":
    main()
