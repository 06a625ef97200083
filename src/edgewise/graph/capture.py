"""Capturing a module as one program with torch.export."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from edgewise.errors import InputError


def capture(model: nn.Module, example: torch.Tensor, *, dynamic_batch: bool = False) -> ExportedProgram:
    """Capture one forward pass of ``model`` in eval mode.

    Args:
        model: any module that takes one tensor; its mode is restored afterwards.
        example: an input (N, C, H, W); N must be 2 or more where the batch is to be dynamic (1 would be baked in).
        dynamic_batch: keep N symbolic, named ``batch``.

    Raises:
        InputError: the module cannot be captured; the message carries torch's reason.
    """
    if dynamic_batch and example.shape[0] < 2:
        example = example.expand(2, *example.shape[1:])
    shapes = ({0: Dim("batch", min=1, max=65_536)},) if dynamic_batch else None
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # of attributes that a forward pass sets, as timm's attention does with its biases; torch puts them back
            warnings.filterwarnings("ignore", "The tensor attribute", UserWarning)
            return torch.export.export(model, (example,), dynamic_shapes=shapes, strict=False)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{type(model).__name__} cannot be captured at {tuple(example.shape)}: {reason}") from error
    finally:
        model.train(was_training)
