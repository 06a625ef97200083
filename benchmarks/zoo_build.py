"""Building each model of the catalogue on the meta device, as the first thing that a fresh process does after its imports.

python benchmarks/zoo_build.py [--rounds 3] [--out results/zoo_build.json]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from result_file import RESULTS, check, save_result, this_command

from edgewise.models.catalogue import CATALOGUE

LIMIT_S = 0.15
PROGRAM = """
import sys, time, torch
from edgewise.models.factory import create_model
start = time.perf_counter()
with torch.device("meta"):
    create_model(sys.argv[1])
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="processes a model; their median counts")
    parser.add_argument("--out", type=Path, default=RESULTS / "zoo_build.json")
    given = parser.parse_args()
    median_s = {name: statistics.median(_built_s(name) for _ in range(given.rounds)) for name in CATALOGUE}
    slowest = max(median_s, key=lambda name: median_s[name])
    checks = [check(f"slowest of {len(median_s)}, {slowest}", median_s[slowest], LIMIT_S, "s")]
    save_result(given.out, command=this_command(), rounds=given.rounds, checks=checks, median_s=median_s)
    raise SystemExit(not checks[0]["passed"])


def _built_s(name: str) -> float:
    done = subprocess.run([sys.executable, "-c", PROGRAM, name], capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
