"""Summing operator and kernel costs over the parts of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar

from torch import nn

from edgewise.graph.trace import Trace
from edgewise.records.cost import KernelCost, OpCost, PartCost

Depth = Literal["stage", "block"]
Row = TypeVar("Row", OpCost, KernelCost)

STAGE_NAMES = ("blocks", "stages", "layers", "features")
"""Of the child that holds the stages of other people's models."""


def part_costs(
    model: nn.Module,
    trace: Trace,
    ops: Sequence[OpCost],
    kernels: Sequence[KernelCost],
    params: Mapping[str, int],
    *,
    depth: Depth,
) -> tuple[PartCost, ...]:
    """Return one row for each stage or block, in the order of the pass; together they hold the whole model.

    A stage is a child of the model's stages (`blocks`, `stages`, `layers` or `features`), with ``stem`` before and ``head``
    behind them; a block is a child of such a stage, or of a RepViT stage's `blocks`. Models without any are cut at their direct children.
    A kernel belongs to the part of its first operator.
    """
    levels = 2 if depth == "stage" else 3
    stages = _stages(model)
    ends = _stem_and_head(model, stages)

    def part_of(path: str) -> str:
        names = path.split(".")
        kept = levels + (depth == "block" and names[2:3] == ["blocks"])
        return ".".join(names[:kept]) if names[0] == stages else ends.get(names[0], names[0])

    out_shapes = {part_of(call.module): call.outputs[0].shape for call in trace.calls if call.outputs}
    # the model's own operators make a row only where they cost something
    named = {part_of(name): 0 for name in out_shapes if name}
    named |= {part_of(op.module): 0 for op in ops if op.macs}
    named |= {part_of(kernel.module): 0 for kernel in kernels}
    weights = dict.fromkeys(named, 0)
    for name, size in params.items():
        part = part_of(name.rpartition(".")[0])
        weights[part] = weights.get(part, 0) + size
    ops_of, kernels_of = _grouped(ops, part_of), _grouped(kernels, part_of)
    return tuple(
        PartCost(
            path=part or "(model)",
            kind=part.capitalize() if part in ("stem", "head") else type(model.get_submodule(part)).__name__,
            out_shape=out_shapes.get(part, ()),
            macs=sum(op.macs for op in ops_of.get(part, ())),
            params=weights[part],
            activations=sum(op.activations for op in ops_of.get(part, ())),
            weight_bytes=sum(kernel.weight_bytes for kernel in kernels_of.get(part, ())),
            read_bytes=sum(kernel.read_bytes for kernel in kernels_of.get(part, ())),
            written_bytes=sum(kernel.written_bytes for kernel in kernels_of.get(part, ())),
            accesses=sum(kernel.accesses for kernel in kernels_of.get(part, ())),
        )
        for part in weights
    )


def _grouped(rows: Iterable[Row], part_of: Callable[[str], str]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(part_of(row.module), []).append(row)
    return groups


def _stages(model: nn.Module) -> str:
    """Return the name of the child that holds the stages: what the layout says, else the first one of a usual name."""
    layout = getattr(model, "layout", None)
    if layout is not None:
        return str(layout.stages)
    return next((name for name, _ in model.named_children() if name in STAGE_NAMES), STAGE_NAMES[0])


def _stem_and_head(model: nn.Module, stages: str) -> dict[str, str]:
    """Map each direct child before ``stages`` to ``stem`` and each one behind it to ``head``."""
    children = [name for name, _ in model.named_children()]
    if stages not in children:
        return {}
    place = children.index(stages)
    return dict.fromkeys(children[:place], "stem") | dict.fromkeys(children[place + 1 :], "head")
