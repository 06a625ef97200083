"""How far the bench can be trusted: the same file twice, a file 3 % slower, and a file beside a process that takes the processor.

    python benchmarks/bench_protocol.py [--pairs 100] [--hogs 30] [--out results/bench_protocol.json]

The slower file is the same chain of convolutions with one more in 32, so that the difference is known by construction. In every third
comparison a third file takes turns with the two. Each comparison is kept when it is done; a second call with the same `--out` goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from result_file import RESULTS, check, save_result, this_command

from edgewise.bench.case import Case
from edgewise.bench.compare import compare
from edgewise.bench.protocol import measure_cases
from edgewise.records.measurement import Measurement

CHANNELS, SIDE = 128, 14
LENGTH = 32
HOG = "while True: pass"

Rows = list[dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100, help="comparisons of each kind")
    parser.add_argument("--hogs", type=int, default=30, help="measurements beside a busy process")
    parser.add_argument("--out", type=Path, default=RESULTS / "bench_protocol.json")
    given = parser.parse_args()
    kept = json.loads(given.out.read_text()) if given.out.exists() else {}
    equal, slower, hogs = (kept.get(name, []) for name in ("equal", "slower", "hogs"))
    with tempfile.TemporaryDirectory() as folder:
        file = _case(Path(folder) / "chain.onnx", LENGTH)
        padded = _case(Path(folder) / "padded.onnx", LENGTH + 1)
        third = _case(Path(folder) / "third.onnx", 2 * LENGTH)

        def beside(number: int) -> list[Case]:
            return [third] if number % 3 == 0 else []

        while len(hogs) < given.hogs:  # the shortest first
            number = len(hogs) + 1
            hogs.append(_beside_a_hog(file, pinned=bool(number % 2), label=f"hog {number}"))
            _save(given.out, equal, slower, hogs)
        while len(slower) < given.pairs:
            number = len(equal) + len(slower) + 1
            rows, other = (equal, replace(file, name="again")) if len(equal) <= len(slower) else (slower, padded)
            rows.append(_pair(file, other, beside(number), f"{'equal' if rows is equal else '3 %'} {len(rows) + 1}"))
            _save(given.out, equal, slower, hogs)
    raise SystemExit(not all(each["passed"] for each in _save(given.out, equal, slower, hogs)))


def _save(out: Path, equal: Rows, slower: Rows, hogs: Rows) -> list[dict[str, Any]]:
    checks = []
    if equal:
        alarms = 100 / len(equal) * sum(row["outcome"] in ("faster", "slower") for row in equal)
        checks.append(check(f"alarms on the same file twice, of {len(equal)}", alarms, 5, "%"))
    if slower:
        found = 100 / len(slower) * sum(row["outcome"] == "slower" for row in slower)
        checks.append(check(f"3 % slower found, of {len(slower)}", found, 95, "%", at_least=True))
    if hogs:
        unseen = sum(row["verdict"] == "trusted" for row in hogs)
        checks.append(check(f"of {len(hogs)} measurements beside a hog neither rejected nor marked", unseen, 0, ""))
    drift = {"raw": _spread(equal, "latency_ms"), "normalised": _spread(equal, "units")}
    save_result(out, command=this_command(), checks=checks, drift=drift, equal=equal, slower=slower, hogs=hogs)
    return checks


def _pair(first: Case, second: Case, beside: Sequence[Case], label: str) -> dict[str, Any]:
    a, *_, b = measure_cases([first, *beside, second])
    comparison = compare(a, b)
    row = {
        "outcome": comparison.outcome,
        "ratio": comparison.ratio,
        "interval": [comparison.ci_low, comparison.ci_high],
        "verdicts": [a.verdict, b.verdict],
        "files_in_turns": 2 + len(beside),
        "latency_ms": a.latency_ms,
        "units": statistics.median(a.in_reference_units or ()),
        "speed_change": a.speed.change if a.speed else "",
    }
    print(f"{label}: {comparison.text}", flush=True)
    return row


def _beside_a_hog(case: Case, *, pinned: bool, label: str) -> dict[str, Any]:
    """Measure beside a busy loop, on the core that is measured on or wherever the system puts it."""
    hog = subprocess.Popen([sys.executable, "-c", HOG])
    try:
        if pinned:
            os.sched_setaffinity(hog.pid, {sorted(os.sched_getaffinity(0))[-1]})
        measured: Measurement = measure_cases([case])[0]
    finally:
        hog.kill()
        hog.wait()
    print(f"{label}: {measured.verdict} ({measured.reason})", flush=True)
    return {"on_the_same_core": pinned, "verdict": measured.verdict, "reason": measured.reason}


def _spread(rows: Rows, name: str) -> float:
    """Return the coefficient of variation of one file's medians over the whole sitting."""
    values = [row[name] for row in rows]
    return statistics.stdev(values) / statistics.mean(values) if len(values) > 1 else 0.0


def _case(path: Path, length: int) -> Case:
    """Write a chain of ``length`` pointwise convolutions with ReLU and return it as a case."""
    rng = np.random.default_rng(0)
    scale = np.float32(np.sqrt(2 / CHANNELS))
    nodes, weights = [], []
    for index in range(length):
        weight = scale * rng.standard_normal((CHANNELS, CHANNELS, 1, 1), dtype=np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(helper.make_node("Conv", [f"x{index}", f"w{index}"], [f"c{index}"]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"x{index + 1}"]))
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(f"x{length}", TensorProto.FLOAT, shape)],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return Case(name=path.stem, path=path, runtime="onnxruntime", format="onnx", precision="fp32")


if __name__ == "__main__":
    main()
