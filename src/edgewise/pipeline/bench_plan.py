"""What a bench is going to measure, one slot for each case, before any file is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgewise.deploy.artifact_file import load_artifact
from edgewise.deploy.artifact_folder import RECORD
from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.runtimes.formats import format_of
from edgewise.deploy.runtimes.registry import runtime_for
from edgewise.errors import InputError, shown
from edgewise.models.resolve import is_model_name, resolve
from edgewise.pipeline.bench_ways import ALL, ways
from edgewise.records.bench import BenchRequest


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One case to come.

    Attributes:
        number: its place in the plan, from 1.
        owner: the place of ``what`` among all that was asked for, from 1.
        what: as it was asked for.
        is_file: whether ``what`` is an exported file; else it is exported first.
        format: as in ``onnx``.
        precision: as in ``fp32``; of a file, as its ``artifact.json`` says.
        runtime: that runs it.
        threads: of one call.
    """

    number: int
    owner: int
    what: str
    is_file: bool
    format: str
    precision: str
    runtime: str
    threads: int


def plan(request: BenchRequest) -> list[Slot]:
    """Return all cases in the order in which they are measured: those of one model stand together.

    Raises:
        InputError: a name or path cannot be used.
    """
    found = [
        Slot(
            number=0,
            owner=owner,
            what=what,
            is_file=is_file,
            format=format_,
            precision=precision,
            runtime=runtime,
            threads=threads,
        )
        for owner, what in enumerate(request.what, 1)
        for is_file, format_, precision, runtime in _ways_of(what, request)
        for threads in request.threads
    ]
    return [replace(slot, number=number) for number, slot in enumerate(found, 1)]


def has_artifact(path: Path) -> bool:
    """Say whether ``path`` is a folder that `export` wrote, or a file in one."""
    return (path / RECORD).is_file() or (path.parent / RECORD).is_file()


def _ways_of(what: str, request: BenchRequest) -> Sequence[tuple[bool, str, str, str]]:
    path = Path(what)
    if is_model_name(what) or (path / "config.yaml").is_file():
        return [(False, format_, precision, EXPORTERS[format_].runtime) for format_, precision in ways(request)]
    if not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise InputError(
                f"{shown(what)} does not exist; give a model's name, a spec file, a run's folder or an exported file"
            )
        resolve(what)
    file, precision = path, "fp32"
    if has_artifact(path):
        artifact, file = load_artifact(path)
        precision = artifact.precision
    runtimes = [each for each in request.runtimes if each != ALL]
    runtime = runtimes[0] if len(runtimes) == 1 else runtime_for(file).name
    return [(True, format_of(file), precision, runtime)]
