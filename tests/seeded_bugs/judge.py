"""Whether `edgewise.export` refuses a seeded bug."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from edgewise.deploy import export as export_module
from edgewise.deploy.export import export
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.errors import VerificationError
from tests.seeded_bugs.bug import Bug, Right


def refusal(bug: Bug, right: Right) -> str:
    """Return why the export with ``bug`` in its converter is refused; empty where it is taken for right.

    All of `export` runs, with its own verification and without real images, as for a model by name; only the converter is
    replaced by one that leaves the wrong file.
    """

    def convert(program: object, path: Path, **job: Any) -> None:
        try:
            with quiet():
                bug.seed(right, path)
        except Exception as error:
            raise RuntimeError(f"{bug.name} could not be seeded") from error

    subject = right.subject
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(export_module, "convert", convert), bug.during():
        try:
            export(
                right.model,
                Path(folder) / "out",
                format=right.format,
                preprocessing=subject.preprocessing,
                labels=subject.labels,
                model_name=subject.name,
                layout="nchw",
            )
        except VerificationError as error:
            if (Path(folder) / "out").exists():
                raise AssertionError("a refused file was left behind") from error
            return str(error)
    return ""
