"""int8 accuracy of really trained models, several runtimes on the same weights: CIFAR-10 and TrashNet, a member of each family.

    python benchmarks/int8_table.py --cifar10 cifar10.tar.gz --trashnet trashnet.tar [--out results/int8_table.json]

Each model is trained by `edgewise train` for some minutes (its run stays in --runs and is resumed there), then exported to int8 by every
format that has it, with the format's own tool, the same 256 calibration images and the whole validation set as judge. Nothing is refused:
a file that falls by more than a point stands in the table with its fall. Latencies are no part of this table. The record is saved after
each model, and what stands in it is not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from child_process import edgewise_program
from result_file import RESULTS, check, save_result, this_command

from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.runtimes.registry import can_run
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ExportError
from edgewise.pipeline.export_job import Exporting, ExportRequest
from edgewise.pipeline.listener import JobListener
from edgewise.records.artifact import Artifact
from edgewise.records.training import TrainRecord
from edgewise.train.run_folder import RunFolder

PRECISIONS = ("int8", "int8-weights")


@dataclass(frozen=True)
class Member:
    """One model and how it is trained."""

    name: str
    width_mult: float | None = None
    """For families that have one."""
    patience: float = 1.0
    """How many times as long as the others it is trained; those with several branches a unit see fewest images a second."""


@dataclass(frozen=True)
class Task:
    """One data set and what all members share."""

    name: str
    img_size: int
    minutes: float
    batch: int


MEMBERS = (
    Member("mobilenetv1_100", 0.5),
    Member("mobilenetv2_100", 0.5),
    Member("mobilenetv3_small_100", 1.0),
    Member("mobilenetv4_conv_small", 0.5),
    Member("mobilenetv4_hybrid_medium", 0.5),
    Member("mobileformer_26m"),
    Member("repvit_m0_6"),
    Member("mobileone_s0", patience=3.0),
    Member("repvgg_a0", patience=2.0),
)
TASKS = (Task("cifar10", 32, 4.0, 128), Task("trashnet", 96, 3.0, 32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", help="tar or folder of CIFAR-10")
    parser.add_argument("--trashnet", help="tar or folder of TrashNet")
    parser.add_argument("--names", default=",".join(member.name for member in MEMBERS))
    parser.add_argument("--minutes", type=float, help="to train a model, instead of each task's own")
    parser.add_argument("--runs", type=Path, default=Path("runs/int8_table"), help="keeps the trained models")
    parser.add_argument("--out", type=Path, default=RESULTS / "int8_table.json")
    given = parser.parse_args()
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    done = {(row["data"], row["model"]) for row in rows}
    wanted = [
        (task, member, data)
        for task in TASKS
        if (data := getattr(given, task.name)) is not None
        for member in MEMBERS
        if member.name in given.names.split(",") and (task.name, member.name) not in done
    ]
    for task, member, data in wanted:
        rows.append(_row(task, member, data, given.runs, given.minutes or task.minutes))
        save_result(given.out, command=this_command(), checks=_checks(rows), rows=rows)
    raise SystemExit(not all(each["passed"] for each in _checks(rows)))


def _checks(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what holds of the table itself: every model learnt something, and every file that exists was judged on all images."""
    learnt = min((row["top1"] / row["chance"] for row in rows), default=0.0)
    judged = min((file["num_images"] / row["num_val"] for row in rows for file in row["files"]), default=0.0)
    return [
        check("least trained model, top-1 over that of guessing", learnt, 2, "x", at_least=True),
        check("share of validation images that a file was judged on", judged, 1, "", at_least=True),
    ]


def _row(task: Task, member: Member, data: str, runs: Path, minutes: float) -> dict[str, Any]:
    run = _trained(task, member, data, runs, member.patience * minutes)
    record = TrainRecord.load(run.train_record)
    (run.path / "int8").mkdir(exist_ok=True)
    exporting = Exporting.prepared(
        ExportRequest(source=str(run.path), data=data, allow_drop=True, force=True), JobListener()
    )
    ways = [
        (name, precision)
        for precision in PRECISIONS
        for name, exporter in EXPORTERS.items()
        if precision in exporter.precisions and can_run(exporter.runtime)
    ]
    with Workshop() as workshop:
        tasks = [partial(_written, exporting, run, *way, workshop) for way in ways]
        outcomes = dict(workshop.beside_each_other(tasks, exporting.at_once, [name for name, _ in ways]))
    made = [(*way, outcomes[place]) for place, way in enumerate(ways)]
    files = [_file(name, each) for name, _, each in made if isinstance(each, Artifact)]
    left_out = {f"{name} {precision}": str(each) for name, precision, each in made if not isinstance(each, Artifact)}
    row = {
        "data": task.name,
        "model": member.name,
        "width_mult": member.width_mult,
        "img_size": task.img_size,
        "trained_min": member.patience * minutes,
        "images_seen": task.batch * record.epochs[-1].step,
        "top1": record.best_top1,
        "chance": 1 / len(exporting.trained.labels),
        "num_val": record.num_val_images,
        "files": files,
        "left_out": left_out,
    }
    shown = ", ".join(f"{file['format']} {file['precision']} {100 * file['fall']:+.2f}" for file in files)
    print(f"{task.name} {member.name}: {record.best_top1:.2%}; falls in points: {shown}", flush=True)
    return row


def _written(
    exporting: Exporting, run: RunFolder, format_: str, precision: str, workshop: Workshop
) -> Artifact | ExportError:
    """Export one file; return why there is none where it cannot be made."""
    try:
        return exporting.write(run.path / "int8" / f"{format_}-{precision}", format_, precision, workshop=workshop)
    except ExportError as error:
        return error


def _trained(task: Task, member: Member, data: str, runs: Path, minutes: float) -> RunFolder:
    """Return the finished run of ``member``, trained now, gone on with, or found."""
    folder = RunFolder(runs / f"{task.name}-{member.name}")
    program = [edgewise_program(), "train", data]
    if folder.path.exists():
        command = [*program, "--resume", str(folder.path)]
    else:
        command = [*program, "--model", member.name, "--img-size", str(task.img_size)]
        command += [
            "--time-budget",
            f"{60 * minutes:g}s",
            "--batch",
            str(task.batch),
            "--project",
            str(runs),
            "--name",
            folder.path.name,
        ]
        command += ["--width-mult", str(member.width_mult)] if member.width_mult is not None else []
    subprocess.run(command, check=True)
    return folder


def _file(format_: str, artifact: Artifact) -> dict[str, Any]:
    proof = artifact.verification
    assert proof is not None
    assert proof.paired is not None
    assert proof.top1_model is not None
    assert proof.top1_file is not None
    return {
        "format": format_,
        "precision": artifact.precision,
        "runtime": proof.runtime,
        "file_bytes": artifact.file_bytes,
        "top1_model": proof.top1_model,
        "top1_file": proof.top1_file,
        "fall": proof.paired.drop,
        "fall_interval": [proof.paired.drop_low, proof.paired.drop_high],
        "mcnemar_p": proof.paired.p_value,
        "num_images": proof.paired.num_images,
        "passed": proof.passed,
        "reason": proof.reason,
    }


if __name__ == "__main__":
    main()
