"""Counting a model's parameters, multiply-accumulates and activations on its captured graph."""

from __future__ import annotations

import torch
from torch import nn
from torch.fx import Node

from edgewise.cost.op_table import RULES, Shape, is_free
from edgewise.cost.parts import part_costs
from edgewise.errors import ConfigError
from edgewise.graph.capture import capture
from edgewise.records.cost import CostReport, OpCost


def count(model: nn.Module, img_size: int | None = None, *, batch: int = 1, in_chans: int | None = None) -> CostReport:
    """Count one forward pass of ``model`` in eval mode.

    Args:
        model: any module that takes (N, C, H, W); Edgewise's own know their `img_size` and `in_chans`.
        img_size: side of the square input in pixels; by default what the model states in `spec` or `preprocessing`, else 224.
        batch: N, 1 or more.
        in_chans: C; the model's own by default, else 3.

    Returns:
        Sums, and rows per stage, block and operator. `complete` is False where an operator is unknown.

    Raises:
        ConfigError: ``img_size`` or ``batch`` is below 1.
        InputError: the model cannot be captured at this size.
    """
    spec = getattr(model, "spec", None)
    stated = spec if spec is not None else getattr(model, "preprocessing", None)
    side = img_size if img_size is not None else getattr(stated, "img_size", 224)
    chans = in_chans if in_chans is not None else getattr(model, "in_chans", 3)
    for name, value in (("img_size", side), ("batch", batch), ("in_chans", chans)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; must be 1 or more")
    first = next(model.parameters(), torch.empty(0))
    example = torch.zeros(batch, chans, side, side, dtype=first.dtype, device=first.device)
    program = capture(model, example)
    ops: list[OpCost] = []
    unknown: set[str] = set()
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        op = _op_name(node)
        if op in RULES:
            ops.append(_ruled(node, op))
        elif op.startswith("aten.") and not is_free(op):
            unknown.add(op)
    own_params = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    return CostReport(
        model=str(getattr(spec if spec is not None else model, "name", type(model).__name__)),
        input_shape=tuple(example.shape),
        params=sum(own_params.values()),
        macs=sum(op.macs for op in ops),
        activations=sum(op.activations for op in ops),
        stages=part_costs(model, program, ops, own_params, depth="stage"),
        blocks=part_costs(model, program, ops, own_params, depth="block"),
        ops=tuple(ops),
        unknown=tuple(sorted(unknown)),
    )


def _ruled(node: Node, op: str) -> OpCost:
    output = _shape(node)
    rule = RULES[op]
    inputs = [_shape(arg) for arg in node.args if isinstance(arg, Node)]
    return OpCost(
        name=node.name,
        op=op,
        module=module_path(node),
        macs=rule.macs(inputs, output),
        activations=rule.activations(inputs, output),
        out_shape=output,
    )


def module_path(node: Node) -> str:
    """Return the dotted path of the module that made ``node``, empty for the root."""
    stack = node.meta.get("nn_module_stack")
    return str(list(stack.values())[-1][0]) if stack else ""


def _op_name(node: Node) -> str:
    """Return ``aten.conv2d`` for the overload ``aten.conv2d.default``."""
    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        return str(target.overloadpacket)
    return getattr(target, "__name__", str(target))


def _shape(node: Node) -> Shape:
    value = node.meta.get("val")
    return tuple(int(size) for size in value.shape) if isinstance(value, torch.Tensor) else ()
