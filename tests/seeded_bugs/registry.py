"""All seeded bugs by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.seeded_bugs import ends, formats, graph, preprocessing, weights
from tests.seeded_bugs.bug import Bug

_ALL = (*weights.BUGS, *graph.BUGS, *ends.BUGS, *preprocessing.BUGS, *formats.BUGS)
BUGS: Mapping[str, Bug] = MappingProxyType({each.name: each for each in _ALL})
assert len(BUGS) == len(_ALL), "two bugs have one name"
