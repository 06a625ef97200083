"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import nn

from edgewise.blocks.dynamic_relu import DynamicReLU

ACTIVATIONS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "relu": lambda _: nn.ReLU(inplace=True),
        "relu6": lambda _: nn.ReLU6(inplace=True),
        "hard_swish": lambda _: nn.Hardswish(inplace=True),
        "swish": lambda _: nn.SiLU(inplace=True),
        "gelu": lambda _: nn.GELU(),  # exact erf form, as in TF and timm
        "prelu": nn.PReLU,
        "dynamic_relu": DynamicReLU,
    }
)
"""Each makes the module for a number of channels, which only the learned ones need."""


def make_act(name: str | None, num_chs: int) -> nn.Module:
    """Make the activation called ``name`` for maps of ``num_chs`` channels; None = an identity."""
    return nn.Identity() if name is None else ACTIVATIONS[name](num_chs)
