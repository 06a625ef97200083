"""The operators of a profile find the kernels that they are."""

from __future__ import annotations

import pytest

from edgewise.cost.op_alignment import kernel_times
from edgewise.records.cost import KernelCost, OpKind
from edgewise.records.op_time import OpTime


def kernel(kind: OpKind, *shape: int, block: int = 0) -> KernelCost:
    return KernelCost(
        module="",
        kind=kind,
        ops=(),
        macs=0,
        weight_bytes=0,
        read_bytes=0,
        written_bytes=0,
        accesses=0,
        out_shape=(1, *shape),
        block=block,
    )


def op(name: str, numel: int, us: float) -> OpTime:
    return OpTime(op=name, numel=numel, us=us)


def test_each_operator_is_the_next_kernel_of_its_kind_and_size() -> None:
    kernels = [kernel("conv", 8, 4, 4), kernel("depthwise", 8, 4, 4), kernel("reduce", 8, 1, 1), kernel("linear", 10)]
    ops = [op("Conv", 128, 5.0), op("Conv", 128, 2.0), op("ReduceMean", 8, 1.0), op("Gemm", 10, 3.0)]
    assert kernel_times(kernels, ops) == [5.0, 2.0, 1.0, 3.0]


def test_filled_blocks_count_as_the_same_map() -> None:
    assert kernel_times([kernel("pointwise", 20, 4, 4, block=16)], [op("Conv", 32 * 16, 5.0)]) == [5.0]
    assert kernel_times([kernel("pointwise", 20, 4, 4)], [op("Conv", 32 * 16, 5.0)]) == [None]


def test_what_is_no_kernel_counts_for_the_operator_before() -> None:
    kernels = [kernel("linear", 10), kernel("softmax", 10)]
    ops = [
        op("Shape", 2, 7.0),
        op("MatMul", 10, 3.0),
        op("Add", 10, 0.5),
        op("Reshape", 10, 0.25),
        op("Softmax", 10, 1.0),
    ]
    assert kernel_times(kernels, ops) == [3.75, 1.0]


def test_branches_in_another_order() -> None:
    kernels = [kernel("linear", 10), kernel("linear", 20), kernel("linear", 30), kernel("softmax", 30)]
    ops = [op("MatMul", 30, 3.0), op("MatMul", 10, 1.0), op("MatMul", 20, 2.0), op("Softmax", 30, 4.0)]
    assert kernel_times(kernels, ops) == [1.0, 2.0, 3.0, 4.0]


def test_equal_operators_out_of_order_are_each_one_kernel() -> None:
    kernels = [kernel("linear", size) for size in (10, 10, 20, 30, 40)]
    ops = [op("MatMul", size, us) for size, us in ((20, 3.0), (30, 4.0), (40, 5.0), (10, 1.0), (10, 2.0))]
    assert kernel_times(kernels, ops) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_kernel_that_did_not_run_has_no_time() -> None:
    kernels = [kernel("linear", 10), kernel("activation", 10), kernel("linear", 10)]
    assert kernel_times(kernels, [op("Gemm", 10, 1.0), op("FusedGemm", 10, 2.0)]) == [1.0, None, 2.0]


@pytest.mark.parametrize("ops", [[], [op("Softmax", 3, 1.0)]])
def test_nothing_in_common(ops: list[OpTime]) -> None:
    assert kernel_times([kernel("linear", 10)], ops) == [None]
    assert kernel_times([], ops) == []
