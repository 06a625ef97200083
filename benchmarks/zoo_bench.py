"""Latency of the whole catalogue in every runtime, in one sitting, with the distance to this machine's limit, and its Pareto chart.

    python benchmarks/zoo_bench.py [--bench runs/zoo_bench] [--max-ms 20] [--out results/zoo_bench.json]

Measures what this machine can do at most (`edgewise device measure`), then runs `edgewise bench --all --runtime all`, then `edgewise
pareto`. A bench that was stopped is gone on with; its sittings are summed. The raw samples stay in the bench's folder, the record holds
a line a case, and the chart lies beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from child_process import edgewise_program
from result_file import RESULTS, check, save_result, this_command

from edgewise.pipeline.bench_folder import BenchFolder
from edgewise.records.bench import BenchCase
from edgewise.records.files import write_atomically

LIMIT_S = 90 * 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=Path("runs/zoo_bench"), help="folder of the bench")
    parser.add_argument("--max-ms", type=float, default=20, help="what takes longer is left out")
    parser.add_argument("--only", nargs="*", help="these models instead of all")
    parser.add_argument("--out", type=Path, default=RESULTS / "zoo_bench.json")
    given = parser.parse_args()
    sittings = given.bench.with_suffix(".sittings.json")
    if not given.bench.exists():
        sittings.unlink(missing_ok=True)
        _run("device", "measure")
    begun = time.monotonic()
    try:
        if given.bench.exists():
            _run("bench", "--resume", str(given.bench))
        else:
            what = given.only or ["--all"]
            _run("bench", *what, "--runtime", "all", "--max-ms", f"{given.max_ms:g}", "--out", str(given.bench))
    finally:
        earlier = json.loads(sittings.read_text()) if sittings.exists() else []
        sittings.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(sittings, json.dumps([*earlier, time.monotonic() - begun]).encode())
    answer = json.loads(_run("pareto", str(given.bench), "--json"))
    shutil.copyfile(given.bench / "pareto.png", given.out.with_suffix(".png"))
    cases = BenchFolder.open(given.bench).cases()
    wall_s = json.loads(sittings.read_text())
    measured = [case for case in cases if case.measurement is not None]
    usable = [case for case in measured if case.measurement and case.measurement.usable]
    checks = [
        check(f"{len(cases)} cases, {len(measured)} of them measured", sum(wall_s), LIMIT_S, "s"),
        check("usable latencies without their distance to the limit", sum(not each.limit for each in usable), 0, ""),
    ]
    save_result(
        given.out,
        command=this_command(),
        checks=checks,
        wall_s_of_sittings=[round(each, 1) for each in wall_s],
        verdicts={
            verdict: sum(each.measurement.verdict == verdict for each in measured if each.measurement)
            for verdict in ("trusted", "noisy", "rejected")
        },
        fastest_runtime=_wins(usable),
        median_share_of_limit=_shares(usable),
        sentence=answer["sentence"],
        front=[f"{each['name']} {each['where']}" for each in answer["front"]],
        rows=[_row(case) for case in measured],
        left_out=_left_out(cases),
    )
    raise SystemExit(not all(each["passed"] for each in checks))


def _run(*arguments: str) -> str:
    done = subprocess.run([edgewise_program(), *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def _row(case: BenchCase) -> dict[str, Any]:
    """Return what came out for one case, without its raw samples."""
    found, limit = case.measurement, case.limit
    assert found is not None
    row = {
        "model": case.model,
        "runtime": case.runtime,
        "latency_ms": _short(found.latency_ms),
        "interval_ms": [_short(found.ci_low_ms), _short(found.ci_high_ms)],
        "p90_ms": found.p90_ms and _short(found.p90_ms),
        "batches_per_s": found.batches_per_s and _short(found.batches_per_s),
        "load_ms": _short(found.load_ms),
        "peak_rss_mb": round(found.peak_rss_bytes / 1e6),
        "file_mb": _short(found.file_bytes / 1e6),
        "verdict": found.verdict,
        "top1": case.accuracy and case.accuracy.top1,
        "limit_ms": limit and _short(limit.limit_ms),
        "share_of_limit": limit and _short(limit.share),
        "bound": limit and limit.bound,
    }
    return row | ({"reason": found.reason} if found.reason else {})


def _short(number: float) -> float:
    return float(f"{number:.4g}")


def _wins(cases: Iterable[BenchCase]) -> dict[str, int]:
    """Return for how many models each runtime is the fastest."""
    best: dict[str, tuple[float, str]] = {}
    for case in cases:
        assert case.measurement is not None
        own = case.measurement.latency_ms, case.runtime
        best[case.model] = min(best.get(case.model, own), own)
    runtimes = [runtime for _, runtime in best.values()]
    return {runtime: runtimes.count(runtime) for runtime in sorted(set(runtimes))}


def _shares(cases: Iterable[BenchCase]) -> dict[str, float]:
    """Return of each runtime the median of limit over latency."""
    found: dict[str, list[float]] = {}
    for case in cases:
        if case.limit is not None:
            found.setdefault(case.runtime, []).append(case.limit.share)
    return {runtime: _short(statistics.median(shares)) for runtime, shares in sorted(found.items())}


def _left_out(cases: Iterable[BenchCase]) -> dict[str, dict[str, str]]:
    """Return of each runtime what was not measured, and why."""
    found: dict[str, dict[str, str]] = {}
    for case in cases:
        if case.measurement is None:
            found.setdefault(case.runtime, {})[case.model] = case.left_out
    return found


if __name__ == "__main__":
    main()
