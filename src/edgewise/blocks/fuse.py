"""Folding batch norms, branches and layer scales into convolutions and linear layers, for deployment."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import torch
from torch import nn

from edgewise.blocks.fold import (
    conv_weights,
    exact,
    fold_norm,
    fold_norm_before_linear,
    fold_norm_into_linear,
    scale_weights,
    with_weights,
)
from edgewise.blocks.foreign_fuse import fuse_by_own_methods
from edgewise.blocks.layer_scale import LayerScale
from edgewise.errors import ConfigError

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

    The arithmetic is done in float64; dtype, device and `requires_grad` stay. Fusing a fused model changes nothing. A batch norm
    *before* attention (MQA) stays: a norm cannot be folded through the zero padding of the depthwise convolutions behind it.

    A module of somebody else's that brings a method for its own deployment is folded by that. Apart from it, a norm is folded
    where it stands right behind its convolution in an `nn.Sequential`, next to a linear layer in one (whose inputs are then taken
    to be (N, C)), or under names such as ``conv`` and ``bn`` in that order.
    """
    fused = cast(Module, cast(Fusable, model).fused()) if _is_fusable(model) else copy.deepcopy(model)
    _replace_fusable(fused, {})
    fuse_by_own_methods(fused)
    for module in list(fused.modules()):
        _fold_layer_scale(module)
        _fold_norms(module)
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            _fold_sequence(module)
    if hasattr(fused, "runs_channels_last"):
        fused.runs_channels_last = cast(Any, True)
    fused.eval()
    return fused


def reparameterize_model(model: Module, inplace: bool = False) -> Module:
    """Return ``model`` fused, under the name that timm's users look for.

    Args:
        model: any module.
        inplace: make ``model`` itself the fused one, and return it, instead of a copy.

    Raises:
        ConfigError: ``inplace``, and the fused form of ``model`` is a module of another class.
    """
    fused = fuse(model)
    if not inplace:
        return fused
    if type(fused) is not type(model):
        raise ConfigError(
            f"inplace is True, but a fused {type(model).__name__} is a {type(fused).__name__}; "
            f"use what reparameterize_model(model) returns"
        )
    model.__dict__.clear()
    model.__dict__.update(fused.__dict__)
    return model


def _is_fusable(module: nn.Module) -> bool:
    """Say whether ``module`` has the method, and no flag or layer of that name."""
    return isinstance(module, Fusable) and inspect.ismethod(module.fused)


def _replace_fusable(module: nn.Module, done: dict[nn.Module, nn.Module]) -> None:
    """Put the fused forms in place below ``module``; a block that is used in two places stays one block."""
    for name, child in module._modules.items():
        if child is None:
            continue
        if _is_fusable(child):
            if child not in done:
                done[child] = cast(Fusable, child).fused().eval()
            setattr(module, name, done[child])
        else:
            _replace_fusable(child, done)


def _fold_norms(module: nn.Module) -> None:
    order = list(module._modules)
    for conv_name, norm_name in _pairs_of(module):
        if conv_name not in order or norm_name not in order:
            continue
        # in other people's modules of the same names, a norm that is defined first runs first
        if order.index(conv_name) < order.index(norm_name):
            folded = _folded(module._modules[conv_name], module._modules[norm_name])
            if folded is not None:
                module._modules[conv_name], module._modules[norm_name] = folded


def _pairs_of(module: nn.Module) -> tuple[tuple[str, str], ...]:
    if not hasattr(module, "conv_dw"):
        return _CONV_THEN_NORM
    return _INVERTED_RESIDUAL if hasattr(module, "conv_pwl") else _DEPTHWISE_SEPARABLE


def _fold_sequence(sequence: nn.Sequential) -> None:
    for index in range(len(sequence) - 1):
        folded = _folded(sequence[index], sequence[index + 1])
        if folded is not None:
            sequence[index], sequence[index + 1] = folded


def _folded(first: nn.Module | None, second: nn.Module | None) -> tuple[nn.Module, nn.Module] | None:
    """Return what stands for ``first`` and ``second``, run one after another, once the norm of the two is folded; None if there is none."""
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        return (fold_norm(first, second), nn.Identity()) if _is_affine(second, first.out_channels) else None
    if isinstance(first, nn.Linear) and isinstance(second, nn.BatchNorm1d):
        return (fold_norm_into_linear(first, second), nn.Identity()) if _is_affine(second, first.out_features) else None
    if isinstance(first, nn.BatchNorm1d) and isinstance(second, nn.Linear):
        return (
            (nn.Identity(), fold_norm_before_linear(first, second)) if _is_affine(first, second.in_features) else None
        )
    return None


def _is_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d, num_chs: int) -> bool:
    """Return whether ``norm`` is affine in eval mode: torch's own (a subclass may add more) and with statistics."""
    own = type(norm) in (nn.BatchNorm1d, nn.BatchNorm2d)
    return own and norm.running_mean is not None and norm.num_features == num_chs


def _fold_layer_scale(module: nn.Module) -> None:
    scale = getattr(module, "layer_scale", None)
    if not isinstance(scale, LayerScale):
        return
    holder, name = _last_conv(module)
    conv, norm = cast(nn.Conv2d, getattr(holder, name)), getattr(holder, "bn", None)
    weights = conv_weights(conv)
    if isinstance(norm, nn.BatchNorm2d):
        weights = conv_weights(conv, norm)
        holder.bn = nn.Identity()
    gamma = exact(scale.gamma)
    setattr(holder, name, with_weights(conv, *scale_weights(weights, gamma, torch.zeros_like(gamma))))
    module.layer_scale = nn.Identity()


def _last_conv(module: nn.Module) -> tuple[nn.Module, str]:
    """Return the holder and attribute name of the convolution whose output the layer scale of ``module`` multiplies."""
    attention = getattr(module, "attn", None)
    if attention is not None:
        return cast(nn.Module, attention.output), "proj"
    return cast(nn.Module, module.pw_proj), "conv"
