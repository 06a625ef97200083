"""Counting what one forward pass of a model costs: multiply-accumulates, parameters, bytes moved, memory needed."""

from __future__ import annotations

from torch import nn

from edgewise.cost.fusion import find_fusion
from edgewise.cost.kernels import FusedGraph, Kernel, Slot, fused_graph, read_writes
from edgewise.cost.layout import lay_out
from edgewise.cost.memory import activation_memory
from edgewise.cost.op_table import activations_of, kind_of, macs_of
from edgewise.cost.parts import part_costs
from edgewise.cost.precision import Precision, find_precision
from edgewise.errors import ConfigError
from edgewise.graph.trace import Buffer, Call, Trace, Value, trace
from edgewise.records.cost import CostReport, KernelCost, OpCost


def count(
    model: nn.Module,
    img_size: int | None = None,
    *,
    batch: int = 1,
    in_chans: int | None = None,
    dtype: str = "fp32",
    fusion: str = "generic",
) -> CostReport:
    """Count one forward pass of ``model`` in eval mode.

    Args:
        model: any module that takes (N, C, H, W), on any device or on meta; Edgewise's own know their `img_size` and `in_chans`.
        img_size: side of the square input in pixels; by default what the model states in `spec` or `preprocessing`, else 224.
        batch: N, 1 or more.
        in_chans: C; the model's own by default, else 3.
        dtype: precision that bytes are counted for: fp32, fp16, bf16, int8, int8-weights. The model's own does not matter.
        fusion: what runs as one kernel: a name in `cost.fusion.FUSIONS`.

    Returns:
        Sums, and rows per stage, block, kernel and operator. `complete` is False where an operator is unknown.

    Raises:
        ConfigError: ``img_size`` or ``batch`` is below 1.
        UnknownNameError: no such ``dtype`` or ``fusion``.
        InputError: the model cannot be run at this size, or its course depends on what the image shows.
    """
    precision, rules = find_precision(dtype), find_fusion(fusion)
    spec = getattr(model, "spec", None)
    stated = spec if spec is not None else getattr(model, "preprocessing", None)
    side = img_size if img_size is not None else getattr(stated, "img_size", 224)
    chans = in_chans if in_chans is not None else getattr(model, "in_chans", 3)
    for name, value in (("img_size", side), ("batch", batch), ("in_chans", chans)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; must be 1 or more")
    shape = (batch, chans, side, side)
    run = trace(model, shape)
    own_params = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    ops = _op_costs(run, own_params, precision)
    graph = fused_graph(run, rules)
    if rules.block:
        lay_out(graph, run.calls, rules.block)
    kernels = _kernel_costs(run, graph, precision)
    memory = activation_memory(graph, rules, precision)
    return CostReport(
        model=str(getattr(spec if spec is not None else model, "name", type(model).__name__)),
        input_shape=shape,
        params=sum(own_params.values()),
        macs=sum(op.macs for op in ops),
        activations=sum(op.activations for op in ops),
        stages=part_costs(model, run, ops, kernels, own_params, depth="stage"),
        blocks=part_costs(model, run, ops, kernels, own_params, depth="block"),
        ops=ops,
        unknown=tuple(sorted({call.op for call in run.calls if kind_of(call) is None})),
        kernels=kernels,
        dtype=dtype,
        fusion=fusion,
        weight_bytes=sum(kernel.weight_bytes for kernel in kernels),
        read_bytes=sum(kernel.read_bytes for kernel in kernels),
        written_bytes=sum(kernel.written_bytes for kernel in kernels),
        accesses=sum(kernel.accesses for kernel in kernels),
        peak_activation_bytes=memory.peak_bytes,
        peak_module=kernels[memory.peak_kernel].module if memory.peak_kernel >= 0 else "",
        arena_bytes=memory.arena_bytes,
    )


def _op_costs(run: Trace, params: dict[str, int], precision: Precision) -> tuple[OpCost, ...]:
    """Return a row for each operator that does or moves something; unknown ones have none."""
    owners = _owners(run)
    unread = dict(params)
    rows = []
    for place, call in enumerate(run.calls):
        kind = kind_of(call)
        if kind in (None, "view", "constant", "check"):
            continue
        # to torch a transpose or a slice is a view: only what reads it later moves anything
        read = [] if call.is_view else list(dict.fromkeys(call.inputs))
        weights = [owners.get(value.buffer, value) for value in read if value.fixed]
        rows.append(
            OpCost(
                name=_op_name(place, call),
                op=call.op,
                module=call.module,
                macs=macs_of(call),
                params=sum(unread.pop(value.name, 0) for value in weights),
                activations=activations_of(call),
                out_shape=call.outputs[0].shape if call.outputs else (),
                kind=kind,
                weight_bytes=sum(precision.weight_size(value) for value in weights),
                read_bytes=sum(precision.activation_size(value) for value in read if not value.fixed),
                written_bytes=sum(precision.activation_size(value) for value in call.outputs[: not call.is_view]),
            )
        )
    return tuple(rows)


def _owners(run: Trace) -> dict[Buffer, Value]:
    """Return the parameter or constant that lies in each buffer: operators often see a view of it."""
    return {value.buffer: value for call in run.calls for value in call.inputs if value.source == "state"}


def _kernel_costs(run: Trace, graph: FusedGraph, precision: Precision) -> tuple[KernelCost, ...]:
    written = read_writes(graph)
    return tuple(
        _kernel_cost(run, kernel, slots, precision) for kernel, slots in zip(graph.kernels, written, strict=True)
    )


def _kernel_cost(run: Trace, kernel: Kernel, written: list[Slot], precision: Precision) -> KernelCost:
    first = run.calls[kernel.place]
    # a slice or a broadcast of a tensor reads no more of it than there is
    reads = {slot: min(value.numel, slot.value.numel) for slot, value in kernel.reads.items()}
    weights = sorted((slot.value for slot in kernel.weights), key=lambda value: value.numel, reverse=True)
    bias_bytes = kernel.num_added_biases * precision.vector_bytes
    num_weights = sum(value.numel for value in weights) + kernel.num_added_biases
    is_conv = bool(kernel.calls) and first.op == "aten.convolution"
    return KernelCost(
        module=first.module,
        kind=kernel.kind,
        ops=tuple(_op_name(place, run.calls[place]) for place in kernel.calls),
        macs=sum(macs_of(run.calls[place]) for place in kernel.calls),
        weight_bytes=sum(precision.weight_size(value) for value in weights) + bias_bytes,
        read_bytes=sum(precision.activation_size(slot.value, numel) for slot, numel in reads.items()),
        written_bytes=sum(precision.activation_size(slot.value) for slot in written),
        accesses=num_weights + sum(reads.values()) + sum(slot.value.numel for slot in written),
        in_shapes=tuple(value.shape for value in kernel.reads.values()),
        out_shape=written[0].value.shape if written else (),
        weight_shape=weights[0].shape if weights else (),
        stride=tuple(int(step) for step in first.args[3]) if is_conv else (),
        groups=int(first.args[8]) if is_conv else 1,
        block=kernel.block,
    )


def _op_name(place: int, call: Call) -> str:
    return f"{place}_{call.op.partition('.')[2]}"
