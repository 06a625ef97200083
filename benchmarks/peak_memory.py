"""Peak activation memory as `edgewise.count` says it, against two planners that really run, without a delegate.

LiteRT's arena and ExecuTorch's memory plan, of fused models at batch 1 in fp32; counted with the fusion models ``litert`` and
``executorch-portable``. Compared is the arena that tensors laid out greedily take; the peak, a lower bound of it, stands beside.
About 40 s a model; finished ones are kept in a file and not planned again, as long as it is there.

    python benchmarks/peak_memory.py [--names a,timm:b] [--kept planned.jsonl] [--out results/peak_memory.json]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from result_file import RESULTS, check, save_result, this_command
from torch.export import ExportedProgram

import edgewise
from edgewise.errors import EdgewiseError
from edgewise.graph.capture import capture
from edgewise.models.resolve import resolve

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.planners import executorch_plan_bytes, litert_arena_bytes

LIMIT = 0.05
WANTED = 20
PLANNERS: dict[str, Callable[[ExportedProgram, Path], int]] = {
    "litert": litert_arena_bytes,
    "executorch-portable": executorch_plan_bytes,
}
NAMES = (
    "mobilenetv4_conv_small mobilenetv2_100 mobilenetv3_large_100 repvgg_a0 mobilenetv1_100 mobilenetv3_small_100 mobilenetv2_050 "
    "mobilenetv4_conv_small_035 repvit_m0_9 mobileone_s1 timm:efficientnet_lite0 timm:mnasnet_100 timm:lcnet_100 timm:resnet18 "
    "timm:regnetx_002 timm:fasternet_t0 timm:fbnetc_100 timm:mobilenet_edgetpu_v2_s mobilenetv4_conv_medium timm:efficientnet_b0 "
    "timm:ghostnet_100 timm:tinynet_a timm:starnet_s1 repvit_m1_0 mobileone_s0 timm:efficientvit_b0 mobilenetv4_hybrid_medium "
    "mobileformer_v4_100m"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=NAMES.replace(" ", ","))
    parser.add_argument("--out", type=Path, default=RESULTS / "peak_memory.json")
    parser.add_argument("--kept", type=Path, help="file of what was planned, a line each")
    given = parser.parse_args()
    rows = [_row(name, given.kept) for name in given.names.split(",")]
    checks = [
        check(
            f"models within {LIMIT:.0%} of {planner}",
            sum(_is_within(row, planner) for row in rows),
            WANTED,
            "",
            at_least=True,
        )
        for planner in PLANNERS
    ]
    save_result(given.out, command=this_command(), checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks))


def _is_within(row: dict[str, Any], planner: str) -> bool:
    difference = row[planner]["difference"]
    return difference is not None and abs(difference) <= LIMIT


def _row(name: str, kept: Path | None) -> dict[str, Any]:
    source = resolve(name)
    torch.manual_seed(0)
    model = edgewise.fuse(source.build())
    side = source.img_size
    row: dict[str, Any] = {"name": name, "img_size": side, "generic": edgewise.count(model, side).peak_activation_bytes}
    program: ExportedProgram | None = None
    for planner, plan in PLANNERS.items():
        counted = edgewise.count(model, side, fusion=planner)
        planned = _kept(kept).get(f"{name} {planner}")
        if planned is None:
            program = program or capture(model, torch.zeros(1, 3, side, side))
            planned = _planned(plan, program)
            _keep(kept, f"{name} {planner}", planned)
        size = planned["planned"]
        row[planner] = {
            "peak": counted.peak_activation_bytes,
            "at": counted.peak_module,
            "arena": counted.arena_bytes,
            "difference": round(counted.arena_bytes / size - 1, 4) if size else None,
            "peak_difference": round(counted.peak_activation_bytes / size - 1, 4) if size else None,
        } | planned
    print(row, flush=True)
    return row


def _planned(plan: Callable[[ExportedProgram, Path], int], program: ExportedProgram) -> dict[str, Any]:
    try:
        with tempfile.TemporaryDirectory() as folder:
            return {"planned": plan(program, Path(folder)), "reason": ""}
    except (EdgewiseError, RuntimeError) as error:
        return {"planned": None, "reason": str(error)[:200]}


def _kept(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None or not path.exists():
        return {}
    return dict(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def _keep(path: Path | None, key: str, planned: dict[str, Any]) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, planned]) + "\n")


if __name__ == "__main__":
    main()
