"""Finding the one table of tensors in a file that is meant for a model: unwrapping nests, prefixes and foreign names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from edgewise.errors import WeightsError, shown
from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.models.state_naming import Naming, recognise

NESTS = ("state_dict", "model", "state_dict_ema", "model_ema", "model_state_dict", "ema", "ema_state_dict")
PREFIXES = (
    "module.",
    "_orig_mod.",
    "model.",
    "model_ema.",
    "state_dict.",
    "state_dict_ema.",
    "ema.",
    "ema_model.",
)
MAX_NESTING = 3
AVERAGE_COUNT = "n_averaged"
"""What `torch.optim.swa_utils.AveragedModel` saves beside the model's own tensors."""


@dataclass(frozen=True)
class Candidate:
    """One table of tensors in a file, under the names that the model uses."""

    place: str
    """Where it lies, for people, as in ``'state_dict_ema'``; empty for the top level."""
    entries: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    layout: ForeignLayout | None = None
    """Whose names it had before; None for the model's own."""
    given_names: Mapping[str, str] = field(default_factory=dict)
    """What the model's names are called in the file, prefixes left aside; only for other layouts than the model's own."""
    fault: str | None = None
    """Why it cannot be loaded whatever its shapes; None if there is no such reason."""

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


def find_candidates(content: Mapping[str, Any], namings: Sequence[Naming]) -> list[Candidate]:
    """Return every table of tensors in ``content``, its names turned into the model's as far as ``namings`` go.

    Raises:
        WeightsError: there is none.
    """
    tables = list(_tables(content, ()))
    if not tables:
        raise WeightsError(f"holds no table of tensors; looked at its top level and in {', '.join(map(repr, NESTS))}")
    return [_under_own_names(each, namings) for table in tables for each in _without_prefixes(table, namings)]


def choose_candidate(candidates: Sequence[Candidate], target: Mapping[str, torch.Tensor]) -> Candidate:
    """Return the candidate that fits the model's state ``target`` best.

    Raises:
        WeightsError: nothing in any of them fits, two different ones fit equally well, or the best mixes two ways of naming.
    """
    best = max(candidates, key=lambda candidate: candidate.num_fitting(target))
    if not best.num_fitting(target):
        raise WeightsError(_of_another_model(best, target))
    for other in candidates:
        equally_good = other is not best and other.num_fitting(target) == best.num_fitting(target)
        if equally_good and not _same(best.entries, other.entries):
            places = " and ".join(candidate.place or "the top level" for candidate in (best, other))
            raise WeightsError(f"holds two states that fit equally well, {places}; save the one you want alone")
    if best.fault:
        raise WeightsError(best.fault)
    return best


def _of_another_model(best: Candidate, target: Mapping[str, torch.Tensor]) -> str:
    layout = recognise(best.entries)
    whose = f", with the names of {layout.title}" if layout else ""
    found = ", ".join(shown(name) for name in list(best.entries)[:3])
    wanted = ", ".join(shown(name) for name in list(target)[:3])
    return f"is of another model{whose}: it holds {found}, …; the model has {wanted}, …"


def _tables(content: Mapping[str, Any], keys: tuple[str, ...]) -> Iterator[Candidate]:
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        place = shown(".".join(keys)) if keys else ""
        yield Candidate(place, content, (f"read from {place}",) if keys else ())
    if len(keys) < MAX_NESTING:
        for key in NESTS:
            if isinstance(content.get(key), Mapping):
                yield from _tables(content[key], (*keys, key))


def _without_prefixes(table: Candidate, namings: Sequence[Naming]) -> list[Candidate]:
    """Return ``table`` without its common prefix, or split where it holds the whole model under several."""
    known = frozenset().union(*(naming.names for naming in namings))
    groups: dict[str, set[str]] = {}
    for name in map(str, table.entries):
        prefix = _prefix(name, known)
        if name[len(prefix) :] in known:
            groups.setdefault(prefix, set()).add(name[len(prefix) :])
    whole = [prefix for prefix, names in groups.items() if any(naming.required <= names for naming in namings)]
    if len(whole) < 2 and len(groups) > 1 and whole != [""]:
        bare = {str(name)[len(_prefix(str(name), known)) :]: value for name, value in table.entries.items()}
        return [replace(table, entries=bare, fault=_mixed(groups))]
    prefixes = whole or list(groups)
    return [_of_prefix(table, prefix, prefixes) for prefix in prefixes] or [table]


def _prefix(name: str, known: frozenset[str]) -> str:
    rest = name
    while rest not in known:
        prefix = next((prefix for prefix in PREFIXES if rest.startswith(prefix)), None)
        if prefix is None:
            break
        rest = rest.removeprefix(prefix)
    return name[: len(name) - len(rest)]


def _mixed(groups: Mapping[str, set[str]]) -> str:
    counts = ", ".join(
        f"{len(names)} have the prefix {shown(prefix)}" if prefix else f"{len(names)} have none"
        for prefix, names in groups.items()
    )
    return f"mixes names of the model under different prefixes ({counts}); save the ones you want alone"


def _of_prefix(table: Candidate, prefix: str, prefixes: Sequence[str]) -> Candidate:
    """Return what is under ``prefix``, without it, and what is under none of ``prefixes``, as it is."""
    entries: dict[str, Any] = {}
    notes = list(table.notes)
    num_removed = 0
    for name, value in table.entries.items():
        owner = max((each for each in prefixes if str(name).startswith(each)), key=len, default=None)
        if owner == prefix:
            num_removed += 1
            entries[str(name).removeprefix(prefix)] = value
        elif owner is None and name == AVERAGE_COUNT:
            notes.append(f"{shown(name)} left out, which counts the averaged states")
        elif owner is None:
            entries[str(name)] = value
    if not prefix:
        return replace(table, entries=entries)
    place = f"the names under {shown(prefix)} of {table.place or 'the top level'}"
    notes.append(f"prefix {shown(prefix)} removed from {num_removed} names")
    return replace(table, place=place, entries=entries, notes=tuple(notes))


def _under_own_names(table: Candidate, namings: Sequence[Naming]) -> Candidate:
    """Return ``table`` with its names turned from those of the one layout that it has into the model's."""
    names = [str(name) for name in table.entries]
    found = [
        (naming, example)
        for naming in namings
        if (naming.layout is None or naming.layout.matches(names))
        and (example := next((name for name in names if name in naming.names), None)) is not None
    ]
    if len(found) > 1:
        listed = " with ".join(f"{naming.title} ({shown(example)})" for naming, example in found)
        return replace(table, fault=f"mixes {listed}; save the ones you want alone")
    naming = found[0][0] if found else namings[0]
    return _renamed(table, naming, naming.renaming) if naming.renaming else table


def _renamed(table: Candidate, naming: Naming, renaming: Renaming) -> Candidate:
    entries: dict[str, Any] = {}
    given_names = {ours: theirs for theirs in naming.names if (ours := renaming.ours(theirs))}
    num_renamed = 0
    for name, value in table.entries.items():
        ours = renaming.ours(name)
        if ours is None or ours in entries:
            entries[name] = value
            continue
        entries[ours] = renaming.value_for_us(ours, value) if is_plain(value) else value
        given_names[ours] = name
        num_renamed += 1
    notes = (*table.notes, f"{naming.title} renamed ({num_renamed} tensors)")
    return replace(table, entries=entries, notes=notes, layout=naming.layout, given_names=given_names)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        is_plain(value) and is_plain(other[name]) and torch.equal(value, other[name]) for name, value in one.items()
    )
