"""The layers of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgewise.deploy.layers import Operator, layers_of

WEIGHTED = ("Conv", "Gemm", "MatMul")


def onnx_layers(graph: Any) -> dict[str, tuple[str, ...]]:
    """Return the names of the nodes of each layer of ``graph``, whose nodes must all have names; see `layers_of`."""
    return layers_of(_operators(graph))


def _operators(graph: Any) -> Iterator[Operator]:
    constants = {tensor.name for tensor in graph.initializer}
    made_by: dict[str, str] = {}
    for node in graph.node:
        is_weighted = node.op_type in WEIGHTED and node.input[1] in constants
        yield Operator(
            name=node.name,
            sources=tuple(made_by[each] for each in node.input if each in made_by),
            weights=node.input[1] if is_weighted else None,
        )
        made_by.update(dict.fromkeys(node.output, node.name))
