"""All runtimes, by the name that users type. SDKs are imported when a file is loaded, not here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from edgewise.deploy.runtimes.coreml import RUNS_HERE, CoreMl
from edgewise.deploy.runtimes.executorch import ExecuTorch
from edgewise.deploy.runtimes.formats import format_of
from edgewise.deploy.runtimes.litert import LiteRt
from edgewise.deploy.runtimes.ncnn import Ncnn
from edgewise.deploy.runtimes.onnxruntime import OnnxRuntime
from edgewise.deploy.runtimes.openvino import OpenVino
from edgewise.deploy.runtimes.protocol import Availability, Runtime
from edgewise.deploy.runtimes.sdk import Sdk
from edgewise.deploy.runtimes.torch import TorchRuntime
from edgewise.errors import InputError, shown, unknown_name


class InstalledRuntime(Runtime, Protocol):
    """A runtime that stands on one Python package."""

    @property
    def sdk(self) -> Sdk:
        """The package."""
        ...


_ALL: tuple[InstalledRuntime, ...] = (
    OnnxRuntime(),
    OpenVino(),
    LiteRt(),
    ExecuTorch(),
    Ncnn(),
    CoreMl(),
    TorchRuntime(),
)
RUNTIMES: Mapping[str, InstalledRuntime] = MappingProxyType({each.name: each for each in _ALL})


def get_runtime(name: str) -> InstalledRuntime:
    """Return the runtime called ``name``.

    Raises:
        UnknownNameError: there is none; the message lists them.
    """
    if name not in RUNTIMES:
        raise unknown_name("runtime", name, RUNTIMES)
    return RUNTIMES[name]


def runtime_for(path: Path) -> InstalledRuntime:
    """Return the first runtime that loads the file at ``path``, chosen by the file's content.

    Raises:
        InputError: the file is missing or is no model file.
    """
    found = format_of(path)
    for runtime in RUNTIMES.values():
        if found in runtime.formats:
            return runtime
    raise InputError(f"{shown(path)} is a .{found} file, which no runtime here loads")


def can_run(name: str) -> bool:
    """Say whether the runtime called ``name`` exists for this platform, installed or not."""
    return name != CoreMl.name or RUNS_HERE


def availabilities() -> dict[str, Availability]:
    """Say of each runtime whether it can be used here, without importing any SDK."""
    return {name: runtime.availability() for name, runtime in RUNTIMES.items()}
