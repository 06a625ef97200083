"""An optimiser's state as flat tensors and JSON, and back, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from edgewise.errors import CheckpointError, shown
from edgewise.train.checkpoint_folder import JSON

TENSOR = "tensor"
TUPLE = "tuple"


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, JSON]]:
    """Split an optimiser's state into JSON and tensors named ``state.<param>.<name>`` or ``group.<group>.<name>``.

    The tensors are the optimiser's own, not copies: write them before the next step.

    Raises:
        CheckpointError: the optimiser keeps something that is neither a tensor nor a plain value.
    """
    whole = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    state = {
        str(index): {name: _encode(value, f"state.{index}.{name}", tensors) for name, value in entry.items()}
        for index, entry in whole["state"].items()
    }
    groups = [
        {name: _encode(value, f"group.{index}.{name}", tensors) for name, value in group.items()}
        for index, group in enumerate(whole["param_groups"])
    ]
    return tensors, {"kind": type(optimizer).__name__, "state": state, "param_groups": groups}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], plain: Mapping[str, Any]
) -> None:
    """Put back what `flatten_optimizer` gave; tensors are copied, in the memory format of their parameters.

    Raises:
        CheckpointError: another kind of optimiser, other parameter groups or shapes, or a tensor is missing; the
            optimiser is then untouched.
    """
    kind = type(optimizer).__name__
    if plain["kind"] != kind:
        raise CheckpointError(
            f"the checkpoint holds the state of {plain['kind']}, the run uses {kind}; use the same optimiser"
        )
    params = [param for group in optimizer.param_groups for param in group["params"]]
    groups = [
        {name: _decode(value, f"group.{index}.{name}", tensors) for name, value in group.items()}
        for index, group in enumerate(plain["param_groups"])
    ]
    saved_sizes = [len(group["params"]) for group in groups]
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    if saved_sizes != sizes:
        raise CheckpointError(f"the checkpoint's optimiser has parameter groups of {saved_sizes}, the run's of {sizes}")
    state = {
        int(index): {
            name: _like_param(_decode(value, f"state.{index}.{name}", tensors), params[int(index)], f"{index}.{name}")
            for name, value in entry.items()
        }
        for index, entry in plain["state"].items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _encode(value: object, name: str, tensors: dict[str, torch.Tensor]) -> JSON:
    if isinstance(value, torch.Tensor):
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, tuple):
        return {TUPLE: [_encode(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]}
    if isinstance(value, list):
        return [_encode(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise CheckpointError(f"the optimiser's {shown(name)} is a {type(value).__name__}, which a checkpoint cannot hold")


def _decode(value: Any, name: str, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, name, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if TUPLE in value:
        return tuple(_decode(item, name, tensors) for item in value[TUPLE])
    if value[TENSOR] not in tensors:
        raise CheckpointError(f"the checkpoint lacks the optimiser's tensor {shown(value[TENSOR])}")
    return tensors[value[TENSOR]].clone()


def _like_param(value: Any, param: torch.Tensor, name: str) -> Any:
    if not isinstance(value, torch.Tensor) or value.dim() == 0:
        return value
    if value.shape != param.shape:
        raise CheckpointError(
            f"the optimiser's {shown(name)} has shape {tuple(value.shape)}, its parameter {tuple(param.shape)}"
        )
    # the same strides as before the save: optimisers pick their kernels by layout
    return torch.empty_like(param, dtype=value.dtype, device=value.device, requires_grad=False).copy_(value)
