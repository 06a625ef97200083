"""Reading a weights file of whatever name: its first bytes decide what it is, and nothing in it is ever run."""

from __future__ import annotations

import argparse
import hashlib
import io
import pickle
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgewise.errors import WeightsError, shown
from edgewise.models.regular_file import read_regular
from edgewise.models.safetensors_format import SafetensorsFormatError, read_safetensors

ACCEPTED = "accepted: safetensors, or a torch file of plain tensors"
FOREIGN = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 (Keras) file"),
    (4, b"TFL3", "a LiteRT (TFLite) file"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"GGUF", "a GGUF file"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"version https://git-lfs", "a Git LFS pointer; fetch the real file with `git lfs pull`"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
)
ONNX_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42"
"""What may follow the format version in an ONNX file: tags of the fields of its `ModelProto`."""


@dataclass(frozen=True)
class WeightFile:
    """A weights file as it was read.

    Attributes:
        content: a flat table of tensors (safetensors), or the nested tables, lists and plain values of a torch file.
        metadata: of a safetensors file; empty for others.
        sha256: of the file.
    """

    content: Mapping[str, Any]
    metadata: dict[str, str]
    sha256: str


def read_weight_file(path: Path) -> WeightFile:
    """Read the weights file at ``path``.

    Raises:
        WeightsError: it cannot be read, is damaged, of another format, or holds more than tensors and plain values.
    """
    try:
        raw = read_regular(path)
    except OSError as error:
        raise WeightsError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    try:
        content, metadata = _parse(raw)
    except WeightsError as error:
        raise WeightsError(f"{shown(path)} {error}") from error.__cause__
    return WeightFile(content, metadata, hashlib.sha256(raw).hexdigest())


def _parse(raw: bytes) -> tuple[Mapping[str, Any], dict[str, str]]:
    if not raw:
        raise WeightsError(f"is empty; {ACCEPTED}")
    if raw.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        _check_archive(raw)
        return _load_torch(raw), {}
    # before pickle: a header length may begin with pickle's own first byte
    if raw[8:9] == b"{":
        return _load_safetensors(raw)
    for position, magic, name in FOREIGN:
        if raw[position : position + len(magic)] == magic:
            raise WeightsError(f"is {name}; {ACCEPTED}")
    if _looks_like_pickle(raw):
        return _load_torch(raw), {}
    if raw[0] == 0x08 and raw[1:2] < b"\x80" and raw[2:3] and raw[2] in ONNX_FIELDS:
        raise WeightsError(f"is an ONNX file; {ACCEPTED}")
    raise WeightsError(f"is no weights file, or a damaged one: it begins with {raw[:8].hex(' ')}; {ACCEPTED}")


def _looks_like_pickle(raw: bytes) -> bool:
    # protocols 2 to 5 announce themselves; 0 and 1 are text that begins with an opcode and ends with a stop
    return raw[:2] in {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"} or (raw[0] in b"(c]}" and raw[-1:] == b".")


def _load_safetensors(raw: bytes) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        return read_safetensors(raw)
    except SafetensorsFormatError as error:
        raise WeightsError(f"is no sound safetensors file: {error}") from error


def _check_archive(raw: bytes) -> None:
    """Refuse every zip archive but torch's own: stored members of different names, one of them ``data.pkl``."""
    try:
        members = zipfile.ZipFile(io.BytesIO(raw)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise WeightsError(f"is a zip archive that is cut short or damaged; {ACCEPTED}") from error
    names = [member.filename for member in members]
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise WeightsError(f"holds {count} entries of one name, {shown(name)}; refused")
    parts = {name.partition("/")[2] for name in names}
    if "constants.pkl" in parts or any(part.startswith("code/") for part in parts):
        raise WeightsError(f"is a TorchScript archive, which holds code; refused, nothing was run; {ACCEPTED}")
    if "data.pkl" not in parts:
        raise WeightsError(f"is a zip archive, but not one of torch's; {ACCEPTED}")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise WeightsError("holds compressed entries, which torch never writes; refused")
    if sum(member.file_size for member in members) > len(raw):
        raise WeightsError("holds entries that overlap or are cut short; refused")


def _load_torch(raw: bytes) -> Mapping[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of odd pickles; ours is the one line that people see
            # the settings that training scripts save beside the weights: attributes only, no code
            with torch.serialization.safe_globals([argparse.Namespace]):
                content = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError("holds a pickle that is not plain tensors; refused, nothing was run") from error
    except Exception as error:
        # hostile bytes make torch's reader fail with errors of any kind
        raise WeightsError(f"is a torch file that is cut short or damaged ({type(error).__name__})") from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"holds a {type(content).__name__}, not a table of tensors")
    return content
