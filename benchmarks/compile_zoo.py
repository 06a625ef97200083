"""Every model of the catalogue through `torch.compile(fullgraph=True)` and strict `torch.export` with any batch size.

A graph break is an error, and the answers are compared. The tests do so with one model of each structure; this takes all.

    python benchmarks/compile_zoo.py [--names a,b] [--out results/compile_zoo.json]
"""

from __future__ import annotations

import argparse
import gc
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from random_statistics import with_random_statistics
from result_file import RESULTS, check, save_result, this_command
from torch import Tensor, nn
from torch.export import Dim

import edgewise

TOLERANCE = 1e-5
"""Accepted difference of logits, as a share of the largest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(edgewise.list_models()))
    parser.add_argument("--out", type=Path, default=RESULTS / "compile_zoo.json")
    given = parser.parse_args()
    rows = [_row(name) for name in given.names.split(",")]
    checks = [
        check(f"models that failed in {way}", sum(bool(row[way]["reason"]) for row in rows), 0, "") for way in WAYS
    ]
    # sorted, as max() passes over NaN where it comes second
    differences = [row[way]["largest_difference"] for row in rows for way in WAYS if not row[way]["reason"]]
    largest = sorted(differences, key=lambda each: (math.isnan(each), each))[-1] if differences else math.nan
    checks.append(check("largest difference, as a share of the largest logit", largest, TOLERANCE, ""))
    save_result(given.out, command=this_command(), checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks))


@torch.no_grad()
def _row(name: str) -> dict[str, Any]:
    torch.manual_seed(0)
    model, images = with_random_statistics(edgewise.create_model(name, num_classes=10)), torch.randn(2, 3, 64, 64)
    row = {"name": name} | {way: _tried(make, model, images) for way, make in WAYS.items()}
    print(row, flush=True)
    return row


def _tried(
    make: Callable[[nn.Module, Tensor], Callable[[Tensor], Tensor]], model: nn.Module, images: Tensor
) -> dict[str, Any]:
    """Return why ``make`` failed, or how far the answers of what it made are off on a batch of three."""
    torch._dynamo.reset()
    gc.collect()
    more = torch.randn(3, *images.shape[1:])
    started = time.perf_counter()
    try:
        wanted, given = model(more), make(model, images)(more)
    except (torch._dynamo.exc.TorchDynamoException, RuntimeError) as error:
        return {"reason": str(error).splitlines()[0], "largest_difference": None, "seconds": None}
    difference = float((given - wanted).abs().max() / wanted.abs().max())
    return {"reason": "", "largest_difference": difference, "seconds": round(time.perf_counter() - started, 1)}


def _compile(model: nn.Module, _: Tensor) -> Callable[[Tensor], Tensor]:
    compiled: Callable[[Tensor], Tensor] = torch.compile(model, fullgraph=True, backend="eager")
    return compiled


def _export(model: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    batch = Dim("batch", min=1, max=64)
    return torch.export.export(model, (images,), dynamic_shapes=({0: batch},), strict=True).module()


WAYS = {"compile": _compile, "export": _export}


if __name__ == "__main__":
    main()
