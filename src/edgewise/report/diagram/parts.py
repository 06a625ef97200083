"""What a drawing of a block consists of: boxes, strips on them, and how they are joined.

Every box states which layers the built block has for it, so that a test can compare the drawing with the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Style = Literal["depthwise", "pointwise", "conv", "norm", "act", "gate", "attention", "tokens", "plain"]
"""CSS class of a box or strip."""
Lane = Literal["map", "tokens"]


@dataclass(frozen=True, slots=True, order=True)
class ConvLayer:
    """A convolution of the built block."""

    in_chs: int
    out_chs: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False


@dataclass(frozen=True, slots=True, order=True)
class LinearLayer:
    """A linear layer, with bias."""

    in_features: int
    out_features: int


@dataclass(frozen=True, slots=True, order=True)
class NormLayer:
    """A norm over ``num_chs`` channels."""

    kind: Literal["batch", "layer"]
    num_chs: int


@dataclass(frozen=True, slots=True, order=True)
class PlainLayer:
    """A layer that its name describes: an activation, a pool, a layer scale."""

    name: str


Layer: TypeAlias = ConvLayer | LinearLayer | NormLayer | PlainLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A narrow band below a box: what follows a convolution before the map goes on."""

    style: Style
    text: str
    layers: tuple[Layer, ...] = ()
    reads: str = ""
    """What it takes from the other lane; drawn as a dashed arrow with this label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One step of a block."""

    style: Style
    title: str
    note: str = ""
    layers: tuple[Layer, ...] = ()
    strips: tuple[Strip, ...] = ()
    times: int = 1
    """How many of it stand side by side; their results are added."""
    reads: str = ""
    """What it takes from the other lane; drawn as a dashed arrow with this label."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Chains side by side on the same input; an empty chain passes it on."""

    chains: tuple[Chain, ...]
    join: Box | None = None
    """The box in which they meet; None = they are added."""


@dataclass(frozen=True, slots=True)
class Residual:
    """A chain whose input is added to its output."""

    chain: Chain


Node: TypeAlias = "Box | Branches | Residual"
Chain: TypeAlias = "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Lanes:
    """Steps on two lanes, the map's and the tokens', in the order in which they run."""

    steps: tuple[tuple[Lane, Node], ...]


def layers_of(drawing: Lanes | Chain) -> Iterator[Layer]:
    """Yield every layer that a drawing shows."""
    nodes = tuple(node for _, node in drawing.steps) if isinstance(drawing, Lanes) else drawing
    for node in nodes:
        yield from _layers(node)


def _layers(node: Node) -> Iterator[Layer]:
    if isinstance(node, Residual):
        yield from layers_of(node.chain)
    elif isinstance(node, Branches):
        for chain in node.chains:
            yield from layers_of(chain)
        if node.join is not None:
            yield from _layers(node.join)
    else:
        for _ in range(node.times):
            yield from node.layers
            for strip in node.strips:
                yield from strip.layers
