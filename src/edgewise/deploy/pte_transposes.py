"""What reorders axes in an ExecuTorch program, also inside the graphs that it hands to XNNPACK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

XNNPACK = "XnnpackBackend"
REORDERS = ("permute", "transpose", "dim_order")
"""Parts of the names of kernels that do nothing but reorder axes, or what lies in memory behind them."""
HEADER_MAGIC = b"XH00"
FIRST_NODE_FIELD = 1
"""Place of `xnodes` in the table `XNNGraph` of ExecuTorch's `backends/xnnpack/serialization/schema.fbs`."""
STATIC_TRANSPOSE = 5
"""Place of `XNNStaticTranspose` in its union `XNodeUnion`, where 0 is nothing. Both are fixed: files of older versions must load."""


def count_transposes(content: bytes) -> int:
    """Count them in the bytes of a `.pte` file."""
    from executorch.exir._serialize._program import deserialize_pte_binary
    from executorch.exir.schema import KernelCall

    program = deserialize_pte_binary(content).program
    (plan,) = (each for each in program.execution_plan if each.name == "forward")
    calls = [each.instr_args for chain in plan.chains for each in chain.instructions]
    kernels = [plan.operators[call.op_index].name for call in calls if isinstance(call, KernelCall)]
    taken = [program.backend_delegate_data[each.processed.index].data for each in plan.delegates if each.id == XNNPACK]
    own = sum(any(word in name for word in REORDERS) for name in kernels)
    return own + sum(kind == STATIC_TRANSPOSE for blob in taken for kind in node_kinds(bytes(blob)))


def node_kinds(blob: bytes) -> Iterator[int]:
    """Yield the place in the union of each node of a graph for XNNPACK.

    Args:
        blob: a header of 30 bytes that says where the flatbuffer begins, the flatbuffer, and constants.
    """
    from flatbuffers import encode, number_types
    from flatbuffers.table import Table

    start = int.from_bytes(blob[10:14], "little") if blob[4:8] == HEADER_MAGIC else 0
    graph = Table(blob, start + encode.Get(number_types.UOffsetTFlags.packer_type, blob, start))
    nodes = _field(graph, FIRST_NODE_FIELD)
    for index in range(graph.VectorLen(nodes)):
        node = Table(blob, graph.Indirect(graph.Vector(nodes) + 4 * index))
        kind = _field(node, 0)
        yield node.Get(number_types.Uint8Flags, node.Pos + kind) if kind else 0


def _field(table: Any, place: int) -> int:
    """Return where a field lies in ``table``; 0 where it is left out."""
    return int(table.Offset(4 + 2 * place))
