"""Folding in other people's modules, by the methods that they bring for it."""

from __future__ import annotations

import torch
from torch import nn

METHODS = ("fuse", "reparameterize", "switch_to_deploy")
"""As timm's blocks call it, and those of the authors of MobileOne, FastViT, RepViT, LeViT and RepVGG; tried in this order.

Each either changes its module in place or returns the module to put in its place.
"""


_DONE = "_folded_by_edgewise"
"""Set on what was folded: RepMixer's method of FastViT fails when it is called again."""


def fuse_by_own_methods(model: nn.Module) -> None:
    """Call such a method wherever a module below ``model`` has one, from the outside in, as timm's `reparameterize_model` does.

    The arithmetic is done in float64, on the CPU where the device has no such type (Apple's).
    """
    for name, child in list(model.named_children()):
        own = next((method for each in METHODS if callable(method := getattr(child, each, None))), None)
        if own is None or hasattr(child, _DONE):
            fuse_by_own_methods(child)
            continue
        first = next(child.parameters(), torch.empty(0))
        device, dtype, trainable = first.device, first.dtype, first.requires_grad
        exact = torch.device("cpu") if device.type == "mps" else device
        child.to(exact, torch.float64)
        with exact:  # where new layers are made
            folded = own()
        replaced = (folded if isinstance(folded, nn.Module) else child).to(device, dtype)
        replaced.requires_grad_(trainable)  # some methods detach what they made
        setattr(replaced, _DONE, True)
        setattr(model, name, replaced)
        fuse_by_own_methods(replaced)
