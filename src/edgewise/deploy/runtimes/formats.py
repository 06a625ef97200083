"""Which format a file has, told by its content and never by its name alone; and which files belong to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgewise.deploy.runtimes.magic import is_mlpackage, is_ncnn, is_openvino, is_pte, is_tflite
from edgewise.deploy.runtimes.onnx_file import external_files, is_onnx
from edgewise.deploy.runtimes.pt2_file import is_pt2
from edgewise.errors import InputError, shown

if TYPE_CHECKING:
    from edgewise.deploy.runtimes.protocol import Runtime

FORMATS: Mapping[str, Callable[[Path], bool]] = MappingProxyType(
    {"pt2": is_pt2, "tflite": is_tflite, "pte": is_pte, "openvino": is_openvino, "ncnn": is_ncnn, "onnx": is_onnx}
)
"""Name of each format of a file and the function that knows it by its bytes; asked in this order: a protobuf has no mark."""
FOLDER_FORMATS: Mapping[str, Callable[[Path], bool]] = MappingProxyType({"mlpackage": is_mlpackage})
"""The same of formats that are a folder."""
ACCEPTED = ".onnx, .pt2, .tflite, .pte, .mlpackage, OpenVINO's .xml, ncnn's .param"


def format_of(path: Path) -> str:
    """Return the format of the file at ``path``, as in ``onnx``.

    Raises:
        InputError: the file is missing, cannot be read, or has none of the known formats.
    """
    try:
        is_folder = path.is_dir()
        known = FOLDER_FORMATS if is_folder else FORMATS
        found = [name for name, knows in known.items() if (is_folder or path.stat().st_size) and knows(path)]
    except OSError as error:
        raise InputError(f"{shown(path)} cannot be read: {error.strerror}") from error
    if is_folder and not found:
        raise InputError(f"{shown(path)} is a folder; give a model file ({ACCEPTED})")
    if not found:
        raise InputError(f"{shown(path)} is no model file by its content; accepted: {ACCEPTED}")
    return found[0]


def check_format(path: Path, runtime: Runtime) -> None:
    """Refuse a file that ``runtime`` does not load.

    Raises:
        InputError: as `format_of`, or the file has another format.
    """
    found = format_of(path)
    if found not in runtime.formats:
        raise InputError(f"{shown(path)} is a .{found} file; {runtime.name} runs .{', .'.join(runtime.formats)}")


def companion(path: Path) -> Path:
    """Return the file beside ``path`` that holds its weights: OpenVINO and ncnn keep graph and weights apart.

    Raises:
        InputError: it is missing.
    """
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise InputError(f"{shown(path)} keeps its weights in {shown(weights.name)}, which is missing beside it")
    return weights


def files_of(path: Path) -> list[Path]:
    """Return all files of the model at ``path``, the one to open first; of a folder, those in it.

    Raises:
        InputError: as `format_of`, or one is missing or lies elsewhere.
    """
    found = format_of(path)
    if found in FOLDER_FORMATS:
        return sorted(each for each in path.rglob("*") if each.is_file())
    if found in ("openvino", "ncnn"):
        return [path, companion(path)]
    return [path, *(external_files(path) if found == "onnx" else [])]


def model_bytes(path: Path) -> int:
    """Return the size of a model on disk, with all its files.

    Raises:
        InputError: as `files_of`.
    """
    return sum(file.stat().st_size for file in files_of(path))
