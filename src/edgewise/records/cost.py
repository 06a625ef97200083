"""What one forward pass costs: per operator, per block, per stage, in all."""

from __future__ import annotations

from typing import Self

from edgewise.records.record import Record


class OpCost(Record):
    """One operator of the captured graph."""

    name: str
    """The node's name in the graph."""
    op: str
    """The operator, as in ``aten.conv2d.default``."""
    module: str
    """Dotted path of the module that called it; empty for the root."""
    macs: int = 0
    """Multiply-accumulates (1 MAC = 1 multiply + 1 add)."""
    params: int = 0
    activations: int = 0
    """Output elements, counted for operators that multiply (convolution, linear, matmul)."""
    out_shape: tuple[int, ...] = ()


class PartCost(Record):
    """The sum over one part of a model: a stage or a block."""

    path: str
    kind: str
    """The class of the module at ``path``."""
    out_shape: tuple[int, ...]
    macs: int
    params: int
    activations: int


class CostReport(Record):
    """Exact counts of one forward pass.

    `params` are trainable parameters; running statistics are not counted. `macs` are those of convolutions, linear layers
    and matmuls; normalisation, activation functions and pooling are free, as is the field's convention.
    """

    model: str
    input_shape: tuple[int, ...]
    """(N, C, H, W)"""
    params: int
    macs: int
    activations: int
    stages: tuple[PartCost, ...]
    blocks: tuple[PartCost, ...]
    ops: tuple[OpCost, ...]
    unknown: tuple[str, ...] = ()
    """Operators that no rule covers; their cost is in none of the sums."""

    @property
    def complete(self) -> bool:
        """Whether every operator of the graph was ruled or declared free."""
        return not self.unknown

    def without_ops(self) -> Self:
        """Return this report without its operator rows, for storing beside a run."""
        return self.model_copy(update={"ops": ()})
