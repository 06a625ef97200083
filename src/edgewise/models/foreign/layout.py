"""What a foreign layout is: its names for a network's modules, and how tensors get from one set of names to the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from edgewise.spec.model import ModelSpec, NormSpec


@dataclass(frozen=True)
class Renaming:
    """Paths of modules, ours to theirs; a tensor's name follows the longest path that it begins with."""

    modules: Mapping[str, str]
    linear: frozenset[str] = frozenset()
    """Our 1x1 convolutions of a pooled map that are linear layers there."""

    @cached_property
    def _back(self) -> Mapping[str, str]:
        return {theirs: ours for ours, theirs in self.modules.items()}

    def theirs(self, name: str) -> str | None:
        """Return their name of our tensor ``name``; None where they have no such module."""
        return _renamed(name, self.modules)

    def ours(self, name: str) -> str | None:
        """Return our name of their tensor ``name``; None where no module of ours has that name."""
        return _renamed(name, self._back)

    def value_for_us(self, name: str, value: Tensor) -> Tensor:
        """Return their ``value`` in the shape that our tensor ``name`` has."""
        return value[:, :, None, None] if self._is_linear_weight(name) and value.dim() == 2 else value

    def value_for_them(self, name: str, value: Tensor) -> Tensor:
        """Return the ``value`` of our tensor ``name`` in their shape."""
        return value.flatten(1) if self._is_linear_weight(name) else value

    def _is_linear_weight(self, name: str) -> bool:
        path, _, attribute = name.rpartition(".")
        return attribute == "weight" and path in self.linear


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLayout:
    """A layout in which checkpoints are published, other than our own names."""

    origin: str
    """Who publishes it: the name under which `convert_state_dict` takes it."""
    title: str
    """For people, as in "torchvision's MobileNetV3"."""
    pattern: re.Pattern[str]
    """What only names of this layout match."""
    renaming: Callable[[ModelSpec], Renaming | None]
    """Its names for the modules of a network, made from the rows; None where the network has no such form."""
    norm: NormSpec
    """Batch norm settings with which its checkpoints were trained."""
    has_deployed_form: bool = False
    """Whether it has names for a fused network."""

    def matches(self, names: Iterable[str]) -> bool:
        """Return whether ``names`` look like this layout's, whatever the network."""
        return any(self.pattern.search(name) for name in names)


def _renamed(name: str, paths: Mapping[str, str]) -> str | None:
    path = name
    while path:
        if path in paths:
            return paths[path] + name[len(path) :]
        path = path.rpartition(".")[0]
    return None
