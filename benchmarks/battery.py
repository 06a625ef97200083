"""How long the battery over every model takes with two processes: `pytest -m '' -n 2 tests/battery`, start-up included.

python benchmarks/battery.py [--out results/battery.json]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from result_file import RESULTS, check, save_result, this_command

LIMIT_S = 480
COMMAND = ["-m", "pytest", "-m", "", "-n", "2", "--dist", "worksteal", "tests/battery"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "battery.json")
    given = parser.parse_args()
    started = time.perf_counter()
    subprocess.run([sys.executable, *COMMAND], cwd=Path(__file__).parents[1], check=True)
    checks = [check("wall time of the battery", time.perf_counter() - started, LIMIT_S, "s")]
    save_result(given.out, command=this_command(), tests=" ".join(["python", *COMMAND]), checks=checks)
    raise SystemExit(not checks[0]["passed"])


if __name__ == "__main__":
    main()
