"""Which format a file has, told by its content and never by its name alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgewise.deploy.runtimes.onnx_file import external_files, is_onnx
from edgewise.deploy.runtimes.pt2_file import is_pt2
from edgewise.errors import InputError, shown

if TYPE_CHECKING:
    from edgewise.deploy.runtimes.protocol import Runtime

FORMATS: Mapping[str, Callable[[Path], bool]] = MappingProxyType({"pt2": is_pt2, "onnx": is_onnx})
"""Name of each format and the function that knows it by its bytes; asked in this order."""


def format_of(path: Path) -> str:
    """Return the format of the file at ``path``, as in ``onnx``.

    Raises:
        InputError: the file is missing, cannot be read, or has none of the known formats.
    """
    if path.is_dir():
        raise InputError(f"{shown(path)} is a folder; give a model file (.{', .'.join(FORMATS)})")
    try:
        found = [name for name, knows in FORMATS.items() if path.stat().st_size and knows(path)]
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error
    if not found:
        raise InputError(f"{shown(path)} is no model file by its content; accepted: {', '.join(sorted(FORMATS))}")
    return found[0]


def check_format(path: Path, runtime: Runtime) -> None:
    """Refuse a file that ``runtime`` does not load.

    Raises:
        InputError: as `format_of`, or the file has another format.
    """
    found = format_of(path)
    if found not in runtime.formats:
        raise InputError(f"{shown(path)} is a .{found} file; {runtime.name} runs .{', .'.join(runtime.formats)}")


def model_bytes(path: Path) -> int:
    """Return the size of a model on disk, with the files beside it that hold its weights.

    Raises:
        InputError: as `format_of`, or such a file is missing or lies elsewhere.
    """
    beside = external_files(path) if format_of(path) == "onnx" else []
    return sum(file.stat().st_size for file in (path, *beside))
