"""A search space: a network that is built as it stands, and choices that may be made in it by path."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgewise.errors import SpecError, shown
from edgewise.spec.changes import with_changes
from edgewise.spec.model import ModelSpec
from edgewise.spec.text import spec_from_fields

MAX_DECISIONS: Final = 10_000
REMOVED: Final = "remove"
"""As a row's option: the row is left out."""

Genotype = tuple[int, ...]
"""The number of the option taken in each decision, in the space's order."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A base network and, by path, the options for a field, a row or a stage of it.

    Builder, cost and export never learn of it: `spec` gives an ordinary network.

    Attributes:
        name: what it is called.
        base: a network that can be built as it stands; its own values need not be among the options.
        choices: options by path, as in ``stages[2][3].mid_kernel: (None, 3, 5)`` or ``stages[2][3]: ({…}, {…}, "remove")``.
    """

    name: str
    base: ModelSpec
    choices: Mapping[str, tuple[Any, ...]]

    def __post_init__(self) -> None:
        if not self.choices:
            raise SpecError(f"search space {shown(self.name)} has no choices; give some, as in stages[2][3].mid_kernel")
        if len(self.choices) > MAX_DECISIONS:
            raise SpecError(f"search space {shown(self.name)} has {len(self.choices)} choices; at most {MAX_DECISIONS}")
        for path, options in self.choices.items():
            if len(options) < 2:
                raise SpecError(f"choices: {shown(path)} has {len(options)} option(s); at least two make a choice")
            texts = [json.dumps(option, sort_keys=True) for option in options]
            if len(set(texts)) < len(texts):
                raise SpecError(f"choices: {shown(path)} has an option twice")
        for at, path in enumerate(self.choices):
            for option in range(len(self.choices[path])):
                # every option has to be buildable by itself: what cannot is said before any search begins
                self.spec({at: option}, where=f"choices: {shown(path)}, option {option}")

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the decisions, in order."""
        return tuple(self.choices)

    @property
    def num_networks(self) -> int:
        """Return how many combinations there are."""
        return math.prod(len(options) for options in self.choices.values())

    def spec(self, taken: Mapping[int, int] | Sequence[int], *, where: str = "genotype") -> ModelSpec:
        """Return the network of some or all decisions; the others stay as in the base.

        Args:
            taken: the option's number by the decision's, or one of each.
            where: named in errors.

        Raises:
            SpecError: there is no such option, or the options do not go together.
        """
        pairs = taken.items() if isinstance(taken, Mapping) else enumerate(taken)
        if not isinstance(taken, Mapping) and len(taken) != len(self.choices):
            raise SpecError(f"{where}: {len(taken)} decisions; the space has {len(self.choices)}")
        changes: dict[str, Any] = {}
        for at, option in pairs:
            path = self.paths[at]
            if not 0 <= option < len(self.choices[path]):
                raise SpecError(f"{where}: {shown(path)} has options 0 to {len(self.choices[path]) - 1}, not {option}")
            changes[path] = self.choices[path][option]
        fields = with_changes(self.base, changes)
        fields["stages"] = [[row for row in rows if row != REMOVED] for rows in fields["stages"]]
        fields["name"] = self.name
        return spec_from_fields(fields, where)

    def sample(self, rng: random.Random) -> Genotype:
        """Draw a network, all options alike."""
        return tuple(rng.randrange(len(options)) for options in self.choices.values())


def space_from_fields(fields: Mapping[str, Any], base: ModelSpec, where: str) -> SearchSpace:
    """Return the space that a person wrote: ``name`` and ``choices``, each a list of options.

    Raises:
        SpecError: a field is unknown or missing, or an option cannot be built.
    """
    if unknown := sorted(set(fields) - {"base", "name", "choices"}):
        raise SpecError(f"{where}: unknown field {shown(unknown[0])}; accepted: base, name, choices")
    choices = fields.get("choices")
    if not isinstance(choices, Mapping):
        raise SpecError(
            f"{where}: choices is {shown(choices)}; must be options by path, as in stages[2][3].mid_kernel: [3, 5]"
        )
    for path, options in choices.items():
        if not isinstance(options, Sequence) or isinstance(options, str):
            raise SpecError(f"{where}: choices: {shown(path)} is {shown(options)}; must be a list of options")
    name = fields.get("name", f"{base.name}_space")
    if not isinstance(name, str):
        raise SpecError(f"{where}: name is {shown(name)}; must be text")
    try:
        return SearchSpace(name=name, base=base, choices={str(path): tuple(each) for path, each in choices.items()})
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
