"""Exponential moving average of weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A shadow of a model whose weights and batch norm statistics follow it slowly.

    The decay warms up as min(decay, (1 + n) / (10 + n)) after n updates (as TF's ExponentialMovingAverage with `num_updates`), so
    that short runs are not held back by their first weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._shadow, self._shadow_other = _split(self.model)
        self._source, self._source_other = _split(model)

    @torch.no_grad()
    def update(self, num_updates: int) -> None:
        """Move the shadow towards the model after update number ``num_updates`` (from 0)."""
        decay = min(self.decay, (1 + num_updates) / (10 + num_updates))
        torch._foreach_lerp_(self._shadow, self._source, 1.0 - decay)
        for mine, theirs in zip(self._shadow_other, self._source_other, strict=True):
            mine.copy_(theirs)


def _split(model: nn.Module) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the floating tensors of a model's state and the others (batch counters), in the order of its state dict."""
    state = [tensor.detach() for tensor in model.state_dict(keep_vars=True).values()]
    floating = [tensor for tensor in state if tensor.is_floating_point()]
    return floating, [tensor for tensor in state if not tensor.is_floating_point()]
