"""What stands in a `.pt2` file, looked at before torch loads it.

`torch.export.load` unpickles what a file asks it to unpickle, evaluates size expressions with sympy and resolves
operators by dotted path. A file that needs any of it beyond plain tensors, sizes and operators is refused here.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewise.errors import InputError, shown

SIZE_FUNCTIONS = {"Add", "Mul", "Pow", "Mod", "PythonMod", "Max", "Min", "FloorDiv", "CeilDiv", "CleanDiv"}
SIZE_RELATIONS = {"Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "True", "False"}
SIZE_ATOMS = {"Integer", "Rational", "Symbol", "positive", "nonnegative", "integer"}
SIZE_WORDS = SIZE_FUNCTIONS | SIZE_RELATIONS | SIZE_ATOMS
SIZE_SYMBOL = re.compile(r"[su]\d+")
DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RecursionError, NotImplementedError)
OPERATOR = re.compile(r"torch\.ops\.\w+\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\.sym_\w+")


def is_pt2(path: Path) -> bool:
    """Say whether ``path`` is an archive that `torch.export.save` wrote."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/archive_format") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def check_pt2(path: Path) -> None:
    """Refuse an archive whose loading could run code that its sender chose.

    Raises:
        InputError: the archive is damaged, or holds pickled objects, compiled libraries or foreign operators.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            damaged = "twice the same name" if len(set(names)) < len(names) else archive.testzip()
            trouble = None if damaged else next(_troubles(archive, names), None)
    except DAMAGE as error:
        raise InputError(f"{shown(path)} is a damaged .pt2 file: {error}; export it again") from error
    if damaged:
        raise InputError(f"{shown(path)} is a damaged .pt2 file ({damaged}); export it again")
    if trouble:
        raise InputError(f"{shown(path)} holds {trouble}; only plain exported programs are loaded")


def _troubles(archive: zipfile.ZipFile, names: list[str]) -> Iterator[str]:
    for name in names:
        inner = name.partition("/")[2]
        if inner.startswith("data/aotinductor/"):
            yield "a compiled library"
        elif inner.startswith("data/constants/") and inner.rpartition("/")[2].startswith(("custom_obj", "opaque_obj")):
            yield "a pickled object"
        elif inner.startswith("data/sample_inputs/"):
            yield from _pickle_troubles(archive, name)
        elif inner.startswith("models/") or (inner.startswith("data/") and inner.endswith(".json")):
            yield from _json_troubles(json.loads(archive.read(name)))


def _pickle_troubles(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    import torch

    if archive.getinfo(name).file_size == 0:
        return
    with archive.open(name) as file:
        try:
            torch.load(file, weights_only=True)
        except Exception:  # noqa: BLE001 - whatever stops the safe loader would send torch to the unsafe one
            yield "sample inputs that are not plain tensors"


def _json_troubles(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _json_troubles(item)
        return
    if not isinstance(node, dict):
        return
    if node.get("use_pickle"):
        yield "a pickled tensor"
    target = node.get("target")
    if isinstance(target, str) and "metadata" in node and not OPERATOR.fullmatch(target):
        yield f"the foreign operator {shown(target)}"
    expression = node.get("expr_str")
    if isinstance(expression, str) and not _is_size(expression):
        yield f"the foreign size expression {shown(expression)}"
    for value in node.values():
        yield from _json_troubles(value)


def _is_size(expression: str) -> bool:
    words = re.findall(r"[^\W\d]\w*", expression)
    return all(word in SIZE_WORDS or SIZE_SYMBOL.fullmatch(word) for word in words)
