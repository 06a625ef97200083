"""The safetensors layout: eight bytes of header length, a JSON header, then the tensors without holes.

The header is checked here before the safetensors library sees the file, because the library takes the last of two equal
names and sets no limit to their number.
Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from edgewise.errors import shown

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
LENGTH_BYTES = 8
MAX_HEADER_BYTES = 32 * 2**20
MAX_TENSORS = 100_000
MAX_DIMS = 16


class SafetensorsFormatError(ValueError):
    """The bytes are no sound safetensors file; the text says why."""


@dataclass(frozen=True)
class _Entry:
    name: str
    start: int
    end: int


def layout(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Return the leading bytes (length and header) of a file and the order in which its tensors follow.

    Raises:
        TypeError: a tensor has a dtype that the format, as used here, does not have.
    """
    # widest first, as the library writes them: every tensor then starts at a multiple of its own item size
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name in order:
        tensor = tensors[name]
        if tensor.dtype not in DTYPE_NAMES:
            raise TypeError(f"tensor {shown(name)} is {tensor.dtype}; accepted: {', '.join(DTYPES)}")
        end = position + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [position, end],
        }
        position = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % LENGTH_BYTES)
    return len(encoded).to_bytes(LENGTH_BYTES, "little") + encoded, order


def read_safetensors(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a whole file's ``content``.

    Raises:
        SafetensorsFormatError: the header is too long, is no JSON, names a tensor twice, has an unknown dtype or an
            impossible shape, or its tensors overlap or leave bytes unused.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    metadata = _checked_metadata(content)
    try:
        return load(content), metadata
    except SafetensorError as error:
        raise SafetensorsFormatError(str(error)) from error


def _checked_metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:LENGTH_BYTES], "little")
    room = len(content) - LENGTH_BYTES
    if room < 0:
        raise SafetensorsFormatError(f"only {len(content)} bytes long")
    if length > room:
        raise SafetensorsFormatError(
            f"its header should be {length} bytes long, the file has {room}: cut short or damaged"
        )
    if length > MAX_HEADER_BYTES:
        raise SafetensorsFormatError(f"its header is {length} bytes long; at most {MAX_HEADER_BYTES} are accepted")
    header = _parse_header(content[LENGTH_BYTES : LENGTH_BYTES + length])
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SafetensorsFormatError("its metadata is not a table of texts")
    if len(header) > MAX_TENSORS:
        raise SafetensorsFormatError(f"it names {len(header)} tensors; at most {MAX_TENSORS} are accepted")
    _check_tiling([_check_entry(name, entry) for name, entry in header.items()], room - length)
    return metadata


def _parse_header(raw: bytes) -> dict[str, Any]:
    def refuse_number(text: str) -> NoReturn:
        raise SafetensorsFormatError(
            f"its header holds the number {shown(text, 20)}; only whole numbers from 0 are accepted"
        )

    def parse_int(text: str) -> int:
        return refuse_number(text) if text.startswith("-") or len(text) > 19 else int(text)

    try:
        header = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=parse_int,
            parse_float=refuse_number,
            parse_constant=refuse_number,
        )
    except RecursionError as error:
        raise SafetensorsFormatError("its header is nested too deeply") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SafetensorsFormatError("its header is not JSON") from error
    if not isinstance(header, dict):
        raise SafetensorsFormatError("its header is not a JSON object")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise SafetensorsFormatError(f"its header names {shown(twice)} twice")
    return table


def _check_entry(name: str, entry: object) -> _Entry:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsFormatError(f"the entry of {shown(name)} must have dtype, shape and data_offsets, no more")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise SafetensorsFormatError(f"{shown(name)} has the dtype {shown(dtype)}; accepted: {', '.join(DTYPES)}")
    if not _whole_numbers(shape) or len(shape) > MAX_DIMS:
        raise SafetensorsFormatError(f"the shape of {shown(name)} is not a list of at most {MAX_DIMS} whole numbers")
    if not _whole_numbers(offsets) or len(offsets) != 2:
        raise SafetensorsFormatError(f"the data_offsets of {shown(name)} are not two whole numbers")
    start, end = offsets
    size = math.prod(shape) * DTYPES[dtype].itemsize
    if end - start != size:
        raise SafetensorsFormatError(
            f"{shown(name)} of shape {shown(shape)} needs {size} bytes, its offsets give {end - start}"
        )
    return _Entry(name, start, end)


def _whole_numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)


def _check_tiling(entries: list[_Entry], data_bytes: int) -> None:
    position = 0
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.end)):
        if entry.start < position:
            raise SafetensorsFormatError(f"{shown(entry.name)} overlaps another tensor at byte {entry.start}")
        if entry.start > position:
            raise SafetensorsFormatError(f"there are {entry.start - position} unused bytes before {shown(entry.name)}")
        position = entry.end
    if position > data_bytes:
        raise SafetensorsFormatError(
            f"its tensors need {position} bytes, the file has {data_bytes}: cut short or damaged"
        )
    if position < data_bytes:
        raise SafetensorsFormatError(f"there are {data_bytes - position} unused bytes after the last tensor")
