"""Wall time of `edgewise export --format all` for one model, from the command's start to its end.

python benchmarks/export_all.py [--model mobilenetv4_conv_small] [--out results/export_all.json]

Beside the wall time stand the processor seconds of the whole process tree, which other work on the machine moves far less, and the
load when it began.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

from child_process import edgewise_program, run_measured
from result_file import RESULTS, check, save_result, this_command

LIMIT_S = 180


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mobilenetv4_conv_small")
    parser.add_argument("--note", default="", help="what else ran, for the record")
    parser.add_argument("--out", type=Path, default=RESULTS / "export_all.json")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        command = [edgewise_program(), "export", given.model, "--format", "all", "--out", "out", "--json"]
        done = run_measured(command, Path(folder))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    formats = json.loads(done.stdout)
    missing = {each["format"]: each["reason"] for each in formats if each["artifact"] is None}
    wall_s = {each["format"]: round(each["wall_s"], 2) for each in formats}
    checks = [
        check(f"{given.model}, {len(formats)} formats", done.wall_s, LIMIT_S, "s"),
        check("formats that were not made", len(missing), 0, "formats"),
    ]
    save_result(
        given.out,
        command=this_command(),
        model=given.model,
        note=given.note,
        load_before=round(load, 2),
        checks=checks,
        wall_s=round(done.wall_s, 2),
        cpu_s=round(used.ru_utime + used.ru_stime, 2),
        peak_rss_bytes=done.peak_rss_bytes,
        wall_s_of_formats=wall_s,
        transposes={each["format"]: each["artifact"]["transposes"] for each in formats if each["artifact"]},
        missing=missing,
    )
    raise SystemExit(not all(each["passed"] for each in checks))


if __name__ == "__main__":
    main()
