"""Capturing a module as one program with torch.export."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from edgewise.errors import InputError


def capture(model: nn.Module, example: torch.Tensor, *, dynamic_batch: bool = False) -> ExportedProgram:
    """Capture one forward pass of ``model`` in eval mode.

    Args:
        model: any module that takes one tensor; its mode, and what it keeps between calls, are restored afterwards.
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
        with torch.no_grad(), _caches_kept(model):
            return torch.export.export(model, (example,), dynamic_shapes=shapes, strict=False)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{type(model).__name__} cannot be captured at {tuple(example.shape)}: {reason}") from error
    finally:
        model.train(was_training)


@contextmanager
def _caches_kept(model: nn.Module) -> Iterator[None]:
    """Put the dictionaries that modules cache tensors in back to what they were.

    timm's attention of LeViT, EfficientViT and TinyViT keeps its biases so in eval mode; filled during a capture, such a cache
    holds tensors without data, and the model would answer with them from then on.
    """
    caches = [
        value
        for module in model.modules()
        for name, value in vars(module).items()
        if type(value) is dict and not name.startswith("_") and _holds_tensors(value)
    ]
    kept = [dict(cache) for cache in caches]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The tensor attribute", UserWarning)
            yield
    finally:
        for cache, before in zip(caches, kept, strict=True):
            cache.clear()
            cache.update(before)


def _holds_tensors(value: dict[object, object]) -> bool:
    return all(isinstance(each, torch.Tensor) for each in value.values())
