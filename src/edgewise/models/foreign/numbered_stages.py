"""What the authors of RepVGG and MobileOne have in common: ``stage0`` is the stem, ``stage1.<row>`` the first stage."""

from __future__ import annotations

from collections.abc import Mapping

from edgewise.models.foreign.layout import Renaming
from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row
from edgewise.spec.walk import walk


def numbered_stages(spec: ModelSpec, row: type[Row], parts: Mapping[str, str]) -> Renaming | None:
    """Return the names of a network of ``row``s throughout; None for any other network.

    Args:
        spec: the network.
        row: the kind that its stem and all its rows have.
        parts: modules of a row, ours to theirs.
    """
    steps = list(walk(spec))
    if not isinstance(spec.head, PoolHeadSpec) or not all(
        isinstance(each, row) for each in (spec.stem, *(step.row for step in steps))
    ):
        return None
    blocks = {f"stages.{step.stage}.{step.index}": f"stage{step.stage + 1}.{step.index}" for step in steps}
    modules = {
        f"{ours}.{part}": f"{theirs}.{their_part}"
        for ours, theirs in {"stem": "stage0", **blocks}.items()
        for part, their_part in parts.items()
    }
    return Renaming(modules | {"head.fc": "linear"})
