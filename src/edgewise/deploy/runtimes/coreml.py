"""Core ML, which runs on macOS alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgewise.deploy.runtimes.formats import check_format
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.deploy.runtimes.loading import loading
from edgewise.deploy.runtimes.protocol import Array, Availability, RuntimeOptions
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.errors import MissingExtraError, shown

RUNS_HERE = sys.platform == "darwin"


class CoreMlSession:
    """A loaded package."""

    def __init__(self, model: Any) -> None:
        description = model.get_spec().description
        self._model = model
        self._output = description.output[0].name
        self.inputs = tuple(
            FileInput(name=each.name, shape=tuple(each.type.multiArrayType.shape), dtype="float32")
            for each in description.input
        )

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Run one forward pass; inputs in the file's own order."""
        feed = {each.name: array for each, array in zip(self.inputs, arrays, strict=True)}
        return [self._model.predict(feed)[self._output]]

    def close(self) -> None:
        """Free the model."""
        self._model = None


class CoreMl:
    """Runs `.mlpackage` folders on macOS, on whatever units Core ML chooses; elsewhere it can only say so."""

    name = "coreml"
    formats = ("mlpackage",)
    sdk = Sdk(package="coremltools", module="coremltools", install="'edgewise[coreml]'")

    def availability(self) -> Availability:
        """Say whether packages can be run here: on macOS, with coremltools."""
        found = self.sdk.availability()
        if found.ok and not RUNS_HERE:
            return Availability(
                ok=False, version=found.version, reason="runs on macOS alone; packages are made here, not run"
            )
        return found

    def load(self, path: Path, options: RuntimeOptions) -> CoreMlSession:  # noqa: ARG002 - Core ML chooses its threads
        """Load the package at ``path``.

        Raises:
            InputError: it is missing, is no package, or is damaged.
            MissingExtraError: this is not macOS, or coremltools is not installed.
        """
        check_format(path, self)
        available = self.availability()
        if not available.ok:
            raise MissingExtraError(f"{shown(path)} cannot be run here: {available.reason}")
        self.sdk.require()
        import coremltools as ct

        with loading(path, "Core ML"):
            return CoreMlSession(ct.models.MLModel(str(path)))
