"""`edgewise.count` against a second count at torch's dispatcher, on timm's mobile models, with weights on the CPU and on meta.

Both must give the same multiply-accumulates to the unit, and no operator may be without a rule. Beside it how long counting
takes against building the model on the CPU and on meta, where building has neither memory nor random numbers to care for:
the processor's time, the least of three in one process.

    python benchmarks/count_timm.py [--names a,b] [--out results/count_timm.json]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import timm
import torch
from result_file import RESULTS, check, save_result, this_command
from torch import nn

import edgewise

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.dispatcher_truth import true_macs

NAMES = (
    "mobilenetv1_100 mobilenetv2_100 mobilenetv3_large_100 mobilenetv3_small_100 tf_mobilenetv3_large_100 "
    "mobilenetv4_conv_small mobilenetv4_conv_medium mobilenetv4_conv_blur_medium mobilenetv4_hybrid_medium "
    "mobilenet_edgetpu_v2_s mobilenetv5_base mnasnet_100 semnasnet_100 spnasnet_100 fbnetc_100 fbnetv3_b "
    "efficientnet_b0 efficientnet_lite0 efficientnet_es tf_efficientnet_lite0 tf_efficientnet_cc_b0_4e tinynet_a "
    "mixnet_s lcnet_100 lcnetv2_base hardcorenas_a ghostnet_100 ghostnetv2_100 ghostnetv3_100 repghostnet_100 "
    "mobileone_s0 mobileone_s1 repvit_m1_0 repvgg_a0 mobilevit_xxs mobilevit_s mobilevitv2_050 mobilevitv2_100 "
    "efficientvit_b0 efficientvit_b1 efficientvit_m0 efficientvit_m5 efficientformer_l1 efficientformerv2_s0 "
    "efficientformerv2_s2 fastvit_t8 fastvit_sa12 fastvit_mci0 edgenext_xx_small edgenext_small levit_128s "
    "levit_conv_128s shvit_s1 shvit_s4 starnet_s1 starnet_s4 convnext_atto convnext_femto convnextv2_atto "
    "tiny_vit_5m_224 swiftformer_xs swiftformer_s fasternet_t0 iformer_t iformer_s mambaout_femto lowformer_b0 "
    "cpubone_nano cpubone_b0_bfrobust rexnet_100 regnetx_002 regnety_002 resnet18 hgnetv2_b0 vit_tiny_patch16_224 "
    "deit_tiny_patch16_224 pit_ti_224 xcit_nano_12_p16_224 coat_lite_tiny poolformer_s12 nextvit_small "
    "maxvit_pico_rw_256 cait_xxs24_224 gernet_s selecsls42 dla46_c"
)
T = TypeVar("T")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=NAMES.replace(" ", ","))
    parser.add_argument("--out", type=Path, default=RESULTS / "count_timm.json")
    given = parser.parse_args()
    torch.set_num_threads(1)
    edgewise.count(nn.Conv2d(3, 4, 1), 8)  # what torch imports at the first call is nobody's share
    rows = [_row(name) for name in given.names.split(",")]
    against_cpu, against_meta = (
        statistics.median(row["count_s"] / row[f"build_{device}_s"] for row in rows) for device in ("cpu", "meta")
    )
    checks = [
        check("models", len(rows), 50, "", at_least=True),
        check("models with another count on the CPU", sum(row["macs"] != row["true_macs_cpu"] for row in rows), 0, ""),
        check(
            "models with another count on meta", sum(row["macs_meta"] != row["true_macs_meta"] for row in rows), 0, ""
        ),
        check("models whose two counts differ", sum(row["macs"] != row["macs_meta"] for row in rows), 0, ""),
        check("models with operators that have no rule", sum(bool(row["unknown"]) for row in rows), 0, ""),
        check("time of a count over that of building on the CPU, median", against_cpu, 3, ""),
        check("time of a count over that of building on meta, median", against_meta, 3, ""),
    ]
    save_result(given.out, command=this_command(), checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks))


def _row(name: str) -> dict[str, Any]:
    torch.manual_seed(0)
    model, build_cpu_s = _timed(lambda: timm.create_model(name))
    side = int(model.pretrained_cfg["input_size"][-1])
    counted = edgewise.count(model, side)
    true_cpu = true_macs(model, (1, 3, side, side))
    try:
        on_meta, build_meta_s = _timed(lambda: _on_meta(name))
    except (RuntimeError, NotImplementedError):  # some look at values when they are built: moved there afterwards
        on_meta, build_meta_s = model.to("meta"), build_cpu_s
    counted_meta, count_s = _timed(lambda: edgewise.count(on_meta, side))
    row = {
        "name": name,
        "img_size": side,
        "macs": counted.macs,
        "true_macs_cpu": true_cpu,
        "macs_meta": counted_meta.macs,
        "true_macs_meta": true_macs(on_meta, (1, 3, side, side)),
        "unknown": sorted({*counted.unknown, *counted_meta.unknown}),
        "num_ops": len(counted.ops),
        "build_cpu_s": round(build_cpu_s, 4),
        "build_meta_s": round(build_meta_s, 4),
        "count_s": round(count_s, 4),
    }
    print(row, flush=True)
    return row


def _on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        built: nn.Module = timm.create_model(name)
    return built


def _timed(work: Callable[[], T], rounds: int = 3) -> tuple[T, float]:
    """Return what ``work`` gives and the least processor time of several rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        answer = work()
        seconds.append(time.process_time() - start)
    return answer, min(seconds)


if __name__ == "__main__":
    main()
