"""`edgewise fit` on a data set of yours: accuracy, wall time, peak memory, and a copy of the report.

    python benchmarks/fit_run.py trashnet.tar --name trashnet -- --max-ms 2 --img-size 128 --time-budget 22m
    python benchmarks/fit_run.py trashnet.tar --name trashnet --from-run runs/trashnet --wall-s 1400 --peak-rss-bytes 2000000000

What stands behind `--` goes to `edgewise fit`. With `--from-run` nothing runs: the record is made from a finished run's folder.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from child_process import edgewise_program, run_measured
from result_file import RESULTS, check, save_result, this_command, without_folders

MAX_REPORT_BYTES = 1_500_000


def main() -> None:
    given = _arguments()
    data = Path(given.data).absolute()
    if given.from_run is not None:
        folder = given.from_run.absolute()
        run = json.loads((folder / "run.json").read_text())
        memory = {"largest_process_rss_bytes": given.peak_rss_bytes}
        checks = _record(given, run, folder, data, given.wall_s, memory)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            command = [edgewise_program(), "fit", str(data), *given.fit_args, "--name", given.name, "--json"]
            done = run_measured(command, Path(temporary))
            run = json.loads(done.stdout)
            memory = {"largest_process_rss_bytes": done.largest_rss_bytes, "tree_rss_bytes": done.tree_rss_bytes}
            checks = _record(given, run, Path(temporary) / run["folder"], data, done.wall_s, memory)
    raise SystemExit(not all(each["passed"] for each in checks))


def _arguments() -> argparse.Namespace:
    own, fit_args = sys.argv[1:], []
    if "--" in own:
        cut = own.index("--")
        own, fit_args = own[:cut], own[cut + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder or tar of images; with --from-run only its name is used")
    parser.add_argument("--name", required=True, help="of the record: results/NAME.json, results/NAME_report.html")
    parser.add_argument("--out-dir", type=Path, default=RESULTS)
    parser.add_argument("--min-top1", type=float, help="fraction that validation top-1 has to reach")
    parser.add_argument("--max-wall-s", type=float)
    parser.add_argument("--max-rss-gib", type=float)
    parser.add_argument("--from-run", type=Path, help="folder of a finished run")
    parser.add_argument("--wall-s", type=float, help="its wall time (/usr/bin/time -v)")
    parser.add_argument("--peak-rss-bytes", type=int, help="its peak memory (/usr/bin/time -v gives KiB)")
    given = parser.parse_args(own)
    given.fit_args = fit_args
    if given.from_run is not None and (fit_args or given.wall_s is None or given.peak_rss_bytes is None):
        parser.error("--from-run needs --wall-s and --peak-rss-bytes, and takes nothing behind --")
    return given


def _record(
    given: argparse.Namespace, run: dict[str, Any], folder: Path, data: Path, wall_s: float, memory: dict[str, int]
) -> list[dict[str, Any]]:
    hidden = _hidden_paths(folder, data, run)
    top1 = run["training"]["best_top1"]
    peak = max(memory.values())
    checks = []
    if given.min_top1 is not None:
        checks.append(check("validation top-1", 100 * top1, 100 * given.min_top1, "%", at_least=True))
    if given.max_wall_s is not None:
        checks.append(check("wall time", wall_s, given.max_wall_s, "s"))
    if given.max_rss_gib is not None:
        checks.append(check("peak memory", peak / 2**30, given.max_rss_gib, "GiB"))
    print(f"{run['model']}: top-1 {top1:.2%} in {wall_s:.0f} s, peak {peak / 2**30:.2f} GiB")
    save_result(
        given.out_dir / f"{given.name}.json",
        command=_fit_command(run, hidden),
        environment=run["environment"],
        recorded_by=this_command(),
        model=run["model"],
        img_size=run["config"]["preprocessing"]["img_size"],
        time_budget_s=run["config"]["time_budget_s"],
        choice=json.loads(without_folders(json.dumps(run["choice"]), hidden)),
        wall_s=wall_s,
        **memory,
        top1=top1,
        best_epoch=run["training"]["best_epoch"],
        num_train_images=run["training"]["num_train_images"],
        num_val_images=run["training"]["num_val_images"],
        classes=run["evaluation"]["classes"],
        files=[_file(each) for each in run["files"]],
        config=run["config"],
        checks=checks,
        epochs=run["training"]["epochs"],
    )
    report = without_folders((folder / "report.html").read_text(), hidden)
    if len(report.encode()) < MAX_REPORT_BYTES:
        (given.out_dir / f"{given.name}_report.html").write_text(report)
    else:
        print(f"the report is larger than {MAX_REPORT_BYTES / 1e6} MB and was not copied")
    return checks


def _fit_command(run: dict[str, Any], hidden: dict[str, str]) -> str:
    """Return the run's own command; a program called by its path is shown by its name."""
    words = shlex.split(without_folders(run["command"], hidden))
    return shlex.join([Path(words[0]).name, *words[1:]]) if words else "edgewise fit"


def _hidden_paths(folder: Path, data: Path, run: dict[str, Any]) -> dict[str, str]:
    """Return what stands in records for each absolute path that a run may mention."""
    hidden = {str(data): data.name, str(data.resolve()): data.name, str(folder): folder.name}
    hidden |= {str(folder.parent) + "/": "", str(data.parent) + "/": "", str(Path.home()) + "/": ""}
    for word in [*shlex.split(run["command"]), run["data"]["source"].strip("'")]:
        if word.startswith("/"):
            hidden[word] = Path(word).name
    return {path: name for path, name in hidden.items() if path not in {"/", ""}}


def _file(each: dict[str, Any]) -> dict[str, Any]:
    measured = each["measurement"] or {}
    keys = ("file_bytes", "runtime", "threads", "latency_ms", "ci_low_ms", "ci_high_ms", "verdict")
    return {"name": each["name"], "top1": each["top1"], "agreement": each["agreement"]} | {
        key: measured.get(key) for key in keys
    }


if __name__ == "__main__":
    main()
