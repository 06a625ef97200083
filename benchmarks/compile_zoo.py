"""Every model of the catalogue through `torch.compile(fullgraph=True)`: a graph break is an error, and the answers are compared.

The tests compile one model of each structure and lead dynamo through all by strict `torch.export`; this compiles all.

    python benchmarks/compile_zoo.py [--names a,b] [--out results/compile_zoo.json]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from result_file import RESULTS, check, save_result, this_command

import edgewise

TOLERANCE = 1e-5
"""Accepted difference of logits, as a share of the largest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(edgewise.list_models()))
    parser.add_argument("--out", type=Path, default=RESULTS / "compile_zoo.json")
    given = parser.parse_args()
    rows = [_compiled(name) for name in given.names.split(",")]
    broken = [row["name"] for row in rows if row["reason"]]
    largest = max(row["largest_difference"] or 0.0 for row in rows)
    checks = [
        check("models that did not compile whole", len(broken), 0, ""),
        check("largest difference, as a share of the largest logit", largest, TOLERANCE, ""),
    ]
    save_result(given.out, command=this_command(), checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks))


@torch.no_grad()
def _compiled(name: str) -> dict[str, Any]:
    torch.manual_seed(0)
    torch._dynamo.reset()
    model, images = edgewise.create_model(name, num_classes=10).eval(), torch.randn(2, 3, 64, 64)
    wanted = model(images)
    row: dict[str, Any] = {"name": name, "reason": "", "largest_difference": None}
    started = time.perf_counter()
    try:
        given = torch.compile(model, fullgraph=True, backend="eager")(images)
        row["largest_difference"] = float((given - wanted).abs().max() / wanted.abs().max())
    except torch._dynamo.exc.TorchDynamoException as error:
        row["reason"] = str(error).splitlines()[0]
    row["seconds"] = round(time.perf_counter() - started, 1)
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
