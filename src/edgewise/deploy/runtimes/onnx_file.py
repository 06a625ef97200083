"""What stands in an ONNX file, read from its protobuf bytes without loading weights or importing an SDK.

Field numbers are those of onnx/onnx.proto (IR version 13).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from edgewise.errors import InputError, shown

Field = tuple[int, "int | memoryview"]

MODEL_GRAPH, MODEL_OPSET, MODEL_FUNCTIONS = 7, 8, 25
TENSOR_EXTERNAL = 13
# Fields of each message that lead down to tensors: {message: {field: message of that field}}.
WAYS_TO_TENSORS: dict[str, dict[int, str]] = {
    "model": {MODEL_GRAPH: "graph", 20: "training", MODEL_FUNCTIONS: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
MAX_DEPTH = 100


class MalformedError(ValueError):
    """Bytes that are no protobuf message."""


def is_onnx(path: Path) -> bool:
    """Say whether ``path`` holds an ONNX model: a protobuf message with a graph and an operator set."""
    try:
        with _mapped(path) as content:
            numbers = {number for number, value in _fields(content) if isinstance(value, memoryview)}
    except MalformedError:
        return False
    return {MODEL_GRAPH, MODEL_OPSET} <= numbers


def external_files(path: Path) -> list[Path]:
    """Return the files beside ``path`` in which the model keeps tensors.

    Raises:
        InputError: one lies outside the model's own folder or is missing, or the model's bytes are damaged.
    """
    try:
        with _mapped(path) as content:
            locations = sorted(set(_external_locations(content, "model", 0)))
    except MalformedError as error:
        raise InputError(f"{shown(path)} is a damaged ONNX file: {error}; export it again") from error
    folder = path.resolve().parent
    return [_external_file(path, folder, location) for location in locations]


def _external_file(path: Path, folder: Path, location: str) -> Path:
    target = (folder / location).resolve()
    if PureWindowsPath(location).drive or "\\" in location or not target.is_relative_to(folder):
        raise InputError(f"{shown(path)} keeps tensors in {shown(location)}, outside its own folder; refused")
    if not target.is_file():
        raise InputError(f"{shown(path)} keeps tensors in {shown(location)}, which is missing beside it")
    return target


class _mapped:  # noqa: N801 - used as the function that it stands for
    """Open a file as a memoryview of its mapped bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> memoryview:
        with self._path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise MalformedError("it is empty") from error
        return memoryview(self._map)

    def __exit__(self, *_: object) -> None:
        # Views into the map may still hang on a traceback; the map goes with the last of them.
        del self._map


def _external_locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise MalformedError("its graphs are nested too deep")
    if kind == "tensor":
        yield from _tensor_locations(message)
        return
    ways = WAYS_TO_TENSORS[kind]
    for number, value in _fields(message):
        if number in ways and isinstance(value, memoryview):
            yield from _external_locations(value, ways[number], depth + 1)


def _tensor_locations(tensor: memoryview) -> Iterator[str]:
    for number, entry in _fields(tensor):
        if number != TENSOR_EXTERNAL or not isinstance(entry, memoryview):
            continue
        pair = {key: bytes(value) for key, value in _fields(entry) if isinstance(value, memoryview)}
        if pair.get(1) == b"location":
            yield pair.get(2, b"").decode("utf-8", "surrogateescape")


def _fields(message: memoryview) -> Iterator[Field]:
    """Walk one protobuf message: (field number, integer or bytes); fixed-size numbers are given as bytes."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise MalformedError("a field has number 0")
        if wire_type == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire_type == 2:
            size, position = _varint(message, position)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise MalformedError(f"a field has wire type {wire_type}")
        if position + size > len(message):
            raise MalformedError("it ends in the middle of a field")
        yield number, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise MalformedError("it ends in the middle of a number")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedError("a number is longer than 10 bytes")
