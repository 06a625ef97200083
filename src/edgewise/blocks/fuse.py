"""Folding batch norms, branches and layer scales into convolutions, for deployment."""

from __future__ import annotations

import copy
from typing import Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import nn

from edgewise.blocks.fold import fold_norm, scaled
from edgewise.blocks.layer_scale import LayerScale

Module = TypeVar("Module", bound=nn.Module)

# Pairs of (convolution, what follows it) by attribute name, as the blocks of this folder name them.
_CONV_THEN_NORM = (
    ("conv", "bn"),
    ("conv", "bn1"),
    ("conv_stem", "bn1"),
    ("conv_exp", "bn1"),
    ("conv_pwl", "bn2"),
    ("conv_head", "norm_head"),
    ("conv_head", "bn2"),
    ("down_conv", "norm"),
)
_DEPTHWISE_SEPARABLE = (("conv_dw", "bn1"), ("conv_pw", "bn2"))
_INVERTED_RESIDUAL = (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))


@runtime_checkable
class Fusable(Protocol):
    """A block with a form of its own for deployment."""

    def fused(self) -> nn.Module:
        """Return the module that gives the same answers in eval mode with fewer parts; this one is left as it is."""


def fuse(model: Module) -> Module:
    """Return a copy of ``model`` in eval mode with every batch norm behind a convolution, every branch and layer scale folded away.

    The arithmetic is done in float64. Fusing a fused model changes nothing. The batch norm *before* attention (MQA) stays: a
    norm cannot be folded through the zero padding of the depthwise convolutions behind it.
    """
    fused = cast(Module, model.fused()) if isinstance(model, Fusable) else copy.deepcopy(model)
    fused.eval()
    _replace_fusable(fused)
    for module in list(fused.modules()):
        _fold_layer_scale(module)
        _fold_norms(module)
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
    return fused


def reparameterize_model(model: Module, inplace: bool = False) -> Module:
    """Return ``model`` fused, under the name that timm's users look for.

    Args:
        model: any module.
        inplace: make ``model`` itself the fused one, and return it, instead of a copy.
    """
    fused = fuse(model)
    if not inplace:
        return fused
    model.__dict__.clear()
    model.__dict__.update(fused.__dict__)
    return model


def _replace_fusable(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, Fusable):
            setattr(module, name, child.fused().eval())
        else:
            _replace_fusable(child)


def _fold_norms(module: nn.Module) -> None:
    for conv_name, norm_name in _pairs_of(module):
        conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
        if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            setattr(module, conv_name, fold_norm(conv, norm))
            setattr(module, norm_name, nn.Identity())


def _pairs_of(module: nn.Module) -> tuple[tuple[str, str], ...]:
    if not hasattr(module, "conv_dw"):
        return _CONV_THEN_NORM
    return _INVERTED_RESIDUAL if hasattr(module, "conv_pwl") else _DEPTHWISE_SEPARABLE


def _fold_sequence(sequence: nn.Sequential) -> None:
    for index in range(len(sequence) - 1):
        conv, norm = sequence[index], sequence[index + 1]
        if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            sequence[index] = fold_norm(conv, norm)
            sequence[index + 1] = nn.Identity()


def _fold_layer_scale(module: nn.Module) -> None:
    scale = getattr(module, "layer_scale", None)
    if not isinstance(scale, LayerScale):
        return
    holder, name = _last_conv(module)
    conv = cast(nn.Conv2d, getattr(holder, name))
    norm = getattr(holder, "bn", None)
    if type(norm) is nn.BatchNorm2d:
        conv = fold_norm(conv, norm)
        holder.bn = nn.Identity()
    gamma = scale.gamma.double()
    setattr(holder, name, scaled(conv, gamma, torch.zeros_like(gamma)))
    module.layer_scale = nn.Identity()


def _last_conv(module: nn.Module) -> tuple[nn.Module, str]:
    """Return the holder and attribute name of the convolution whose output the layer scale of ``module`` multiplies."""
    attention = getattr(module, "attn", None)
    if attention is not None:
        return cast(nn.Module, attention.output), "proj"
    return cast(nn.Module, module.pw_proj), "conv"
