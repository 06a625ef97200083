"""Folding batch norms and layer scales into the convolutions before them, for deployment."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import nn

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
    ("down_conv", "norm"),
)


def fuse(model: Module) -> Module:
    """Return a copy of ``model`` in eval mode with every batch norm behind a convolution, and every layer scale, folded away.

    The arithmetic is done in float64. Fusing a fused model changes nothing. The batch norm *before* attention (MQA) stays: a
    norm cannot be folded through the zero padding of the depthwise convolutions behind it.
    """
    fused = copy.deepcopy(model).eval()
    for module in list(fused.modules()):
        _fold_layer_scale(module)
        _fold_norms(module)
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
    return fused


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution that equals ``norm(conv(x))`` with the norm's running statistics."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    scale = torch.rsqrt(var.double() + norm.eps)
    shift = -mean.double() * scale
    if norm.affine:
        scale = scale * norm.weight.double()
        shift = shift * norm.weight.double() + norm.bias.double()
    return _scaled(conv, scale, shift)


def _fold_norms(module: nn.Module) -> None:
    for conv_name, norm_name in _CONV_THEN_NORM:
        conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
        if isinstance(conv, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            setattr(module, conv_name, fold_norm(conv, norm))
            setattr(module, norm_name, nn.Identity())


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
    setattr(holder, name, _scaled(conv, gamma, torch.zeros_like(gamma)))
    module.layer_scale = nn.Identity()


def _last_conv(module: nn.Module) -> tuple[nn.Module, str]:
    """Return the holder and attribute name of the convolution whose output the layer scale of ``module`` multiplies."""
    attention = getattr(module, "attn", None)
    if attention is not None:
        return cast(nn.Module, attention.output), "proj"
    return cast(nn.Module, module.pw_proj), "conv"


def _scaled(conv: nn.Conv2d, scale: torch.Tensor, shift: torch.Tensor) -> nn.Conv2d:
    """Return a convolution that equals ``conv(x) * scale + shift`` per output channel (float64 in, the conv's dtype out)."""
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    bias = shift if conv.bias is None else conv.bias.double() * scale + shift
    out = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        cast(tuple[int, int], conv.kernel_size),
        cast(tuple[int, int], conv.stride),
        cast(tuple[int, int], conv.padding),
        cast(tuple[int, int], conv.dilation),
        conv.groups,
        bias=True,
        padding_mode=conv.padding_mode,
        device=conv.weight.device,
        dtype=conv.weight.dtype,
    )
    out.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
    out.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
    return out.train(conv.training)
