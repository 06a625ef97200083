"""The quickstart as a user runs it: wall time, peak memory, accuracy, and whether the exported files answer like the model.

python benchmarks/quickstart.py [--out results/quickstart.json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from child_process import edgewise_program, run_measured
from result_file import RESULTS, check, save_result, this_command, without_folders

MAX_REPORT_BYTES = 1_500_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "quickstart.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        done = run_measured([edgewise_program(), "quickstart", "--json", "--quiet"], Path(temporary))
        run = json.loads(done.stdout)
        report = without_folders((Path(temporary) / run["folder"] / "report.html").read_text(), {temporary: "."})
    files = {each["name"]: each for each in run["files"]}
    torch_top1 = run["evaluation"]["top1"]
    drop = 100 * (torch_top1 - files["onnx-int8"]["top1"])
    checks = [
        check("wall time", done.wall_s, 120, "s"),
        check("peak memory of the process tree", done.peak_rss_bytes / 2**30, 2, "GiB"),
        check("validation top-1", 100 * torch_top1, 97, "%", at_least=True),
        check("fp32 file's agreement with the model", 100 * files["onnx-fp32"]["agreement"], 100, "%", at_least=True),
        check("int8's fall of top-1", drop, 1, "points"),
    ]
    save_result(
        given.out,
        command=this_command(),
        environment=run["environment"],
        wall_s=done.wall_s,
        largest_process_rss_bytes=done.largest_rss_bytes,
        tree_rss_bytes=done.tree_rss_bytes,
        threads=run["config"]["threads"],
        top1=torch_top1,
        files=[
            {
                "name": name,
                "top1": each["top1"],
                "agreement": each["agreement"],
                "file_bytes": each["measurement"] and each["measurement"]["file_bytes"],
                "latency_ms": each["measurement"] and each["measurement"]["latency_ms"],
                "verdict": each["measurement"] and each["measurement"]["verdict"],
            }
            for name, each in files.items()
        ],
        epochs=run["training"]["epochs"],
        checks=checks,
    )
    if len(report.encode()) < MAX_REPORT_BYTES:
        given.out.with_name(given.out.stem + "_report.html").write_text(report)
    raise SystemExit(not all(each["passed"] for each in checks))


if __name__ == "__main__":
    main()
