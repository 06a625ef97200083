"""Conversion in a process of its own.

The caller leaves the program, the calibration images and a job file in a temporary folder and names the latter to a process that runs
``python -m edgewise.deploy.convert`` (`workshop.Workshop` keeps them); that writes the file, or what each layer loses in int8.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from edgewise.deploy.converter import DONE
from edgewise.deploy.exporters.protocol import ExportOptions, MixingExporter
from edgewise.deploy.exporters.registry import get_exporter
from edgewise.deploy.runtimes.sdk import one_line
from edgewise.deploy.workshop import Workshop
from edgewise.errors import EdgewiseError, ExportError, shown
from edgewise.records.artifact import LayerPrecision


def convert(
    program: ExportedProgram,
    path: Path,
    *,
    format: str,  # noqa: A002
    precision: str = "fp32",
    metadata: Mapping[str, str] | None = None,
    output_name: str = "logits",
    calibration: NDArray[np.float32] | None = None,
    keep_float: Sequence[str] = (),
    work: Path | None = None,
    timeout_s: float = 600,
    workshop: Workshop | None = None,
) -> None:
    """Convert ``program`` to the file ``path`` in a subprocess.

    Args:
        program: a captured program with one input, a batch of images, and one output.
        path: where the child writes.
        format: a name of the exporters' table.
        precision: one that the format's exporter writes.
        metadata: text that travels inside the file.
        output_name: what the output is called where the format has names.
        calibration: real images as the program takes them, for ``int8``.
        keep_float: layers that stay in float.
        work: a folder where what is the same for every choice of them is kept between calls.
        timeout_s: seconds before the child is stopped.
        workshop: whose processes do it; a fresh one by default.

    Raises:
        ExportError: the conversion failed or took too long.
    """
    job = {
        "task": "convert",
        "format": format,
        "precision": precision,
        "metadata": dict(metadata or {}),
        "output_name": output_name,
        "keep_float": list(keep_float),
        "work": str(work.absolute()) if work else None,
        "path": str(path.absolute()),
    }
    task = f"conversion to {format} {precision}"
    _in_child(program, calibration, job, task=task, timeout_s=timeout_s, workshop=workshop)


def sensitivities(
    program: ExportedProgram,
    work: Path,
    *,
    format: str,  # noqa: A002
    calibration: NDArray[np.float32],
    timeout_s: float = 600,
    workshop: Workshop | None = None,
) -> tuple[LayerPrecision, ...]:
    """Measure in a subprocess what int8 costs in each layer of ``program``.

    Args:
        program: a captured program with one input, a batch of images, and one output.
        work: the folder that the conversion to ``int8`` was given.
        format: of an exporter that can mix.
        calibration: real images as the program takes them.
        timeout_s: seconds before the child is stopped.
        workshop: whose processes do it; a fresh one by default.

    Raises:
        ExportError: the measurement failed or took too long.
    """
    path = work / "layers.json"
    job = {"task": "sensitivities", "format": format, "precision": "int8", "metadata": {}}
    job |= {"keep_float": [], "work": str(work.absolute()), "path": str(path.absolute())}
    task = f"measuring the layers of {format} int8"
    _in_child(program, calibration, job, task=task, timeout_s=timeout_s, workshop=workshop)
    return tuple(LayerPrecision.model_validate(each) for each in json.loads(path.read_bytes()))


def _in_child(
    program: ExportedProgram,
    calibration: NDArray[np.float32] | None,
    job: Mapping[str, object],
    *,
    task: str,
    timeout_s: float,
    workshop: Workshop | None,
) -> None:
    if workshop is None:
        with Workshop() as own:
            _in_child(program, calibration, job, task=task, timeout_s=timeout_s, workshop=own)
        return
    with tempfile.TemporaryDirectory(prefix="edgewise-export-") as name, ExitStack() as stack:
        folder = Path(name)
        try:
            if calibration is not None:
                np.save(folder / "calibration.npy", calibration)
            file = stack.enter_context(workshop.saved(program))
            text = json.dumps({**job, "program": str(file), "calibrated": calibration is not None})
            (folder / "job.json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise ExportError(f"the temporary folder {shown(folder)} cannot be written: {error.strerror}") from error
        workshop.run(folder / "job.json", format=str(job["format"]), task=task, timeout_s=timeout_s)


def run_job(job_file: Path) -> None:
    """Do what ``job_file`` asks; calibration images lie beside it."""
    folder = job_file.parent
    job = json.loads(job_file.read_text(encoding="utf-8"))
    options = ExportOptions(
        precision=job["precision"],
        metadata=job["metadata"],
        output_name=job.get("output_name", "logits"),
        calibration=folder / "calibration.npy" if job["calibrated"] else None,
        keep_float=tuple(job["keep_float"]),
        work=Path(job["work"]) if job["work"] else None,
    )
    program = torch.export.load(job["program"])
    exporter, path = get_exporter(job["format"]), Path(job["path"])
    if job["task"] == "convert":
        exporter.export(program, path, options)
    elif isinstance(exporter, MixingExporter):
        layers = exporter.sensitivities(program, options)
        path.write_text(json.dumps([layer.model_dump() for layer in layers]), encoding="utf-8")


def main() -> None:
    """Run the jobs named on stdin, one a line; the first failure ends the process with one line that says why."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            run_job(Path(line.rstrip("\n")))
        except EdgewiseError as error:
            sys.exit(str(error))
        except Exception as error:  # noqa: BLE001  converters raise what they like; the parent passes on one line
            sys.exit(one_line(_root(error), limit=300))
        answers.write(f"{DONE}\n")
        answers.flush()


def _root(error: BaseException) -> BaseException:
    """Return the first cause: torch.onnx names the operator there and gives general advice above it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


if __name__ == "__main__":
    main()
