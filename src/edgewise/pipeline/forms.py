"""The forms that a run's model is deployed in: formats with their precisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewise.deploy.exporters.protocol import MixingExporter
from edgewise.deploy.exporters.registry import EXPORTERS, check_installed, get_exporter
from edgewise.deploy.runtimes.registry import can_run
from edgewise.errors import ConfigError, MissingExtraError

ALL = "all"
REFERENCE = "pt2"
"""The torch model itself, which every other file is compared with."""


@dataclass(frozen=True, slots=True)
class Form:
    """One file to come."""

    format: str
    precision: str
    required: bool
    """Whether a run fails where this file cannot be made or does not answer like the model."""

    @property
    def name(self) -> str:
        """As in ``onnx-int8``."""
        return f"{self.format}-{self.precision}"

    @property
    def runtime(self) -> str:
        """The runtime that answers for the file."""
        return get_exporter(self.format).runtime

    @property
    def mixed(self) -> bool:
        """Whether layers can stay in float where top-1 falls too far."""
        return self.precision == "int8" and isinstance(get_exporter(self.format), MixingExporter)


def formats_to_deploy(asked: Sequence[str], runtime: str) -> tuple[str, ...]:
    """Return the formats of a run's files, the one that must succeed first.

    Args:
        asked: formats, or runtimes for their formats; ``all`` for every one that is installed and runs here; nothing for those of
            ``runtime`` and ONNX.
        runtime: what the latency budget is for.

    Raises:
        ConfigError: a format has no runtime on this platform, so that its file could not be judged.
        MissingExtraError: the packages of a format that was named are not installed.
        UnknownNameError: there is no such format.
    """
    own = get_exporter(runtime).format
    if ALL in asked:
        found = [name for name, exporter in EXPORTERS.items() if can_run(exporter.runtime) and _installed(name)]
        return tuple(dict.fromkeys([own, *found]))
    formats = tuple(dict.fromkeys(get_exporter(name).format for name in asked or (own, "onnx")))
    for name in formats:
        check_installed(get_exporter(name))
        if not can_run(get_exporter(name).runtime):
            raise ConfigError(f"{name} files cannot be judged on this platform; write one with edgewise export")
    return formats


def forms_of(formats: Sequence[str]) -> tuple[Form, ...]:
    """Return the files of ``formats``: the torch model first, then fp32 and int8 of each; the first format's fp32 is required."""
    named = [name for name in formats if name != REFERENCE]
    forms = [Form(REFERENCE, "fp32", required=not named)]
    for name in named:
        forms.append(Form(name, "fp32", required=name == named[0]))
        if "int8" in get_exporter(name).precisions:
            forms.append(Form(name, "int8", required=False))
    return tuple(forms)


def _installed(name: str) -> bool:
    try:
        check_installed(get_exporter(name))
    except MissingExtraError:
        return False
    return True
