"""Finding the one table of tensors in a file that is meant for a model: unwrapping nests and prefixes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from edgewise.errors import WeightsError, shown

NESTS = ("state_dict", "model", "state_dict_ema", "model_ema")
PREFIXES = ("module.", "_orig_mod.", "model.", "model_ema.", "state_dict.", "state_dict_ema.")
MAX_NESTING = 3


@dataclass(frozen=True)
class Candidate:
    """One table of tensors in a file, under the names that the model uses."""

    place: str
    """Where it lies, for people, as in ``'state_dict_ema'``."""
    entries: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def num_fitting(self, target: Mapping[str, torch.Tensor]) -> int:
        """Count the entries that the model has too, in the same shape."""
        return sum(
            is_plain(value) and name in target and value.shape == target[name].shape
            for name, value in self.entries.items()
        )


def is_plain(value: object) -> bool:
    """Return whether ``value`` is an ordinary dense tensor or parameter on the CPU, no subclass."""
    return (
        type(value) in {torch.Tensor, torch.nn.Parameter}
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_nested
    )


def choose_candidate(content: Mapping[str, Any], target: Mapping[str, torch.Tensor]) -> Candidate:
    """Return the table in ``content`` that fits the model's state ``target`` best.

    Raises:
        WeightsError: there is none, nothing in it fits, or two different ones fit equally well.
    """
    candidates = [named for table in _tables(content, ()) for named in _under_names(table, target)]
    if not candidates:
        raise WeightsError(f"holds no table of tensors; looked at its top level and in {', '.join(map(repr, NESTS))}")
    best = max(candidates, key=lambda candidate: candidate.num_fitting(target))
    if not best.num_fitting(target):
        found = ", ".join(shown(name) for name in list(best.entries)[:3])
        wanted = ", ".join(shown(name) for name in list(target)[:3])
        raise WeightsError(f"is of another model: it holds {found}, …; the model has {wanted}, …")
    for other in candidates:
        equally_good = other is not best and other.num_fitting(target) == best.num_fitting(target)
        if equally_good and not _same(best.entries, other.entries):
            raise WeightsError(
                f"holds two states that fit equally well, {best.place} and {other.place}; save the one you want alone"
            )
    return best


def _tables(content: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Candidate]:
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        notes = (f"read from {_path(keys)}",) if keys else ()
        yield Candidate(_path(keys) if keys else "the top level", content, notes)
    if len(keys) < MAX_NESTING:
        for key in NESTS:
            if isinstance(content.get(key), Mapping):
                yield from _tables(content[key], (*keys, key))


def _path(keys: tuple[str, ...]) -> str:
    return shown(".".join(keys))


def _under_names(table: Candidate, target: Mapping[str, torch.Tensor]) -> list[Candidate]:
    """Return ``table`` without its common prefix, or split where it holds the whole model under several."""
    groups: dict[str, dict[str, Any]] = {}
    for name, value in table.entries.items():
        prefix = _prefix(str(name), target)
        groups.setdefault(prefix, {})[str(name)[len(prefix) :]] = value
    whole = {prefix: group for prefix, group in groups.items() if target.keys() <= group.keys()}
    if len(groups) == 1 or len(whole) > 1:
        return [_without_prefix(table, prefix, group) for prefix, group in (whole or groups).items()]
    return [table]


def _without_prefix(table: Candidate, prefix: str, group: dict[str, Any]) -> Candidate:
    if not prefix:
        return Candidate(table.place, group, table.notes)
    place = f"the names under {shown(prefix)} of {table.place}"
    return Candidate(place, group, (*table.notes, f"prefix {shown(prefix)} removed from {len(group)} names"))


def _prefix(name: str, target: Mapping[str, torch.Tensor]) -> str:
    rest = name
    while rest not in target:
        prefix = next((prefix for prefix in PREFIXES if rest.startswith(prefix)), None)
        if prefix is None:
            break
        rest = rest.removeprefix(prefix)
    return name[: len(name) - len(rest)]


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        is_plain(value) and is_plain(other[name]) and torch.equal(value, other[name]) for name, value in one.items()
    )
