"""What one forward pass costs: per operator, per kernel, per block, per stage, in all."""

from __future__ import annotations

from typing import Final, Literal, Self

from edgewise.records.record import Record

OpKind = Literal[
    "conv",
    "pointwise",
    "depthwise",
    "grouped",
    "linear",
    "matmul",
    "attention",
    "norm",
    "activation",
    "elementwise",
    "softmax",
    "pool",
    "reduce",
    "resize",
    "move",
    "copy",
    "turn",
    "cut",
    "reorder",
    "view",
    "constant",
    "check",
]
"""What sort of work an operator does: `conv` is dense with a window, `pointwise` dense 1x1, `grouped` anything between dense and depthwise;
`linear` has a fixed matrix, `matmul` none; `turn` is a view in another order, `cut` one of a part,
`reorder` a copy between layouts, which a runtime adds."""
CONVS: Final[frozenset[OpKind]] = frozenset({"conv", "pointwise", "depthwise", "grouped"})
MATMULS: Final[frozenset[OpKind]] = frozenset({"linear", "matmul", "attention"})


class OpCost(Record):
    """One operator of the pass, as torch runs it: nothing is fused, every tensor is read and written."""

    name: str
    """Its place in the pass, with the operator: ``17_convolution``."""
    op: str
    """The operator, as in ``aten.convolution``."""
    module: str
    """Dotted path of the module that called it; empty for the root."""
    macs: int = 0
    """Multiply-accumulates (1 MAC = 1 multiply + 1 add)."""
    params: int = 0
    """Trainable parameters that it is the first to read."""
    activations: int = 0
    """Output elements, counted for operators that multiply (convolution, linear, matmul)."""
    out_shape: tuple[int, ...] = ()
    kind: OpKind | None = None
    weight_bytes: int = 0
    """Parameters and other constants read."""
    read_bytes: int = 0
    """Activations read."""
    written_bytes: int = 0
    """Activations written."""


class KernelCost(Record):
    """What a runtime runs as one: an operator with those that its fusion model joins to it."""

    module: str
    """Dotted path of the module that called the first operator."""
    kind: OpKind
    """Of the first operator."""
    ops: tuple[str, ...]
    """Names of its operators, in order."""
    macs: int
    weight_bytes: int
    """Weights read, with one bias a channel where a norm was folded in; a layer that is used twice is read twice."""
    read_bytes: int
    """Activations read that another kernel wrote, each once."""
    written_bytes: int
    """Activations written that another kernel reads."""
    accesses: int
    """Memory access cost in the sense of ShuffleNet V2 (arXiv 1807.11164, section 2): elements of all three."""
    in_shapes: tuple[tuple[int, ...], ...] = ()
    """Of the activations read."""
    out_shape: tuple[int, ...] = ()
    weight_shape: tuple[int, ...] = ()
    """Of the largest weight read; of a convolution (out, in / groups, height, width)."""
    stride: tuple[int, ...] = ()
    """Of a convolution."""
    groups: int = 1
    """Of a convolution."""
    block: int = 0
    """Channels of a block of the layout that it writes; 0 for plain maps."""


class PartCost(Record):
    """The sum over one part of a model: a stage or a block."""

    path: str
    kind: str
    """The class of the module at ``path``."""
    out_shape: tuple[int, ...]
    macs: int
    params: int
    activations: int
    weight_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    accesses: int = 0


class KindCost(Record):
    """The sum over all kernels of one kind."""

    kind: OpKind
    num_kernels: int
    macs: int
    weight_bytes: int
    activation_bytes: int
    """Read and written."""


class CostReport(Record):
    """Exact counts of one forward pass.

    `params` are trainable parameters; running statistics are not counted. `macs` are those of convolutions, linear layers
    and matmuls; normalisation, activation functions and pooling are free, as is the field's convention. Bytes and accesses are of
    the kernels that `fusion` describes; fields that count them are 0 in reports from before they were counted.
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
    kernels: tuple[KernelCost, ...] = ()
    dtype: str = "fp32"
    """Precision that bytes are counted for."""
    fusion: str = "generic"
    """Name of the fusion model."""
    weight_bytes: int = 0
    """Weights read in one pass."""
    read_bytes: int = 0
    """Activations read."""
    written_bytes: int = 0
    """Activations written."""
    accesses: int = 0
    """Elements of all three: ShuffleNet's memory access cost."""
    peak_activation_bytes: int = 0
    """The most that input, activations and scratch take at one time; weights not among them."""
    peak_module: str = ""
    """Module of the kernel that runs at that time."""
    arena_bytes: int = 0
    """What a planner needs to give each of them one stretch of addresses; the peak, or little more."""

    @property
    def complete(self) -> bool:
        """Whether every operator of the pass was ruled or declared free."""
        return not self.unknown

    def by_kind(self) -> tuple[KindCost, ...]:
        """Return a row for each kind of kernel, the one with the most bytes first."""
        rows = [
            KindCost(
                kind=kind,
                num_kernels=len(same),
                macs=sum(each.macs for each in same),
                weight_bytes=sum(each.weight_bytes for each in same),
                activation_bytes=sum(each.read_bytes + each.written_bytes for each in same),
            )
            for kind in dict.fromkeys(each.kind for each in self.kernels)
            if (same := [each for each in self.kernels if each.kind == kind])
        ]
        return tuple(sorted(rows, key=lambda row: row.weight_bytes + row.activation_bytes, reverse=True))

    def without_ops(self) -> Self:
        """Return this report without its operator and kernel rows, for storing beside a run."""
        return self.model_copy(update={"ops": (), "kernels": ()})
