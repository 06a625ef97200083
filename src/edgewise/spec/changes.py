"""Changing a network by path, as in ``stages[2][3].expand_ratio``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from edgewise.errors import SpecError, shown
from edgewise.spec.model import ModelSpec

_PATH: Final = re.compile(r"\w+(\[\d+\]|\.\w+)*")


def with_changes(spec: ModelSpec, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``spec`` with the values of ``changes`` at their paths, not yet checked.

    Args:
        spec: what is changed; it stays as it is.
        changes: values by path: a field (``num_classes``, ``stages[2][3].expand_ratio``), a row (``stages[2][3]``) or a whole
            stage (``stages[2]``).

    Raises:
        SpecError: a path leads nowhere.
    """
    fields: dict[str, Any] = spec.model_dump(mode="json")
    for path, value in changes.items():
        _put(fields, path, value)
    return fields


def _put(fields: dict[str, Any], path: str, value: Any) -> None:
    if not _PATH.fullmatch(path):
        raise SpecError(f"changes: {shown(path)} is no place in a spec; accepted: as in stages[2][3].expand_ratio")
    steps: list[int | str] = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
    holder: Any = fields
    for depth, step in enumerate(steps):
        if isinstance(step, int):
            _check_index(holder, step, _shown(steps[:depth]))
        elif not isinstance(holder, dict):
            raise SpecError(f"changes: {_shown(steps[:depth])} has no fields to change; set it as a whole")
        if depth == len(steps) - 1:
            holder[step] = value
        else:
            holder = holder[step] if isinstance(step, int) else holder.get(step)


def _check_index(holder: Any, index: int, place: str) -> None:
    if not isinstance(holder, list):
        raise SpecError(f"changes: {place} is no list; [{index}] has no meaning there")
    if index >= len(holder):
        raise SpecError(f"changes: {place}[{index}] does not exist; {place} has [0] to [{len(holder) - 1}]")


def _shown(steps: list[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
