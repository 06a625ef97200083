"""How well the sum of a search space's choices says what its networks take.

    python benchmarks/latency_table.py [--space mobilenetv4_conv_small] [--runtime onnxruntime] [--networks 150]

Runs `edgewise latency-table build`, which measures random networks of the space and leaves each out of a fit once; on a calibrated machine
the fit starts from predicted costs. A build that was stopped is gone on with.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from child_process import edgewise_program
from result_file import RESULTS, check, save_result, this_command

from edgewise.records.latency_table import LatencyTable

MIN_NETWORKS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="mobilenetv4_conv_small")
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--networks", type=int, default=150)
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/latency_table_record"), help="keeps what was measured"
    )
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    folder = given.folder / f"{given.runtime}_{given.threads}"
    command = ["latency-table", "build", given.space, "--runtime", given.runtime, "--threads", str(given.threads)]
    command += ["--networks", str(given.networks), "--out", str(folder)]
    subprocess.run([edgewise_program(), *command], check=True)
    table = LatencyTable.load(folder / "table.json")
    checks = [
        check("networks that were measured", len(table.networks), MIN_NETWORKS, "", at_least=True),
        check("median error of the sum on left-out networks", table.median_error, 0.04, ""),
        check("95th percentile of the error", table.error_95th_percentile, 0.10, ""),
    ]
    save_result(
        given.out or RESULTS / f"latency_table_{given.runtime}_{given.threads}.json",
        command=this_command(),
        checks=checks,
        space=table.space,
        started_from=table.prior,
        constant_ms=table.constant_ms,
        min_ms=table.min_ms,
        max_ms=table.max_ms,
        decisions=[decision.model_dump(mode="json") for decision in table.decisions],
        networks=[
            {
                "genotype": list(each.genotype),
                "measured_ms": each.at_speed(table.reference_ms),
                "fitted_ms": table.latency_ms(each.genotype),
            }
            for each in table.networks
        ],
    )
    raise SystemExit(not all(each["passed"] for each in checks))


if __name__ == "__main__":
    main()
