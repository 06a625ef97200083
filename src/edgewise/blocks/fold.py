"""The arithmetic of folding: norms into convolutions and linear layers, in float64."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import nn


def norm_as_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scale and shift per channel (C,), float64, that ``norm`` is with its running statistics."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    scale = torch.rsqrt(var.double() + norm.eps)
    shift = -mean.double() * scale
    if norm.affine:
        scale = scale * norm.weight.double()
        shift = shift * norm.weight.double() + norm.bias.double()
    return scale.detach(), shift.detach()


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution that equals ``norm(conv(x))`` with the norm's running statistics."""
    return scaled(conv, *norm_as_affine(norm))


def scaled(conv: nn.Conv2d, scale: torch.Tensor, shift: torch.Tensor) -> nn.Conv2d:
    """Return a convolution that equals ``conv(x) * scale + shift`` per output channel (float64 in, the conv's dtype out)."""
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    bias = shift if conv.bias is None else conv.bias.double() * scale + shift
    return with_weights(conv, weight, bias)


def with_weights(conv: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    """Return a convolution like ``conv`` (stride, padding, dilation, groups, dtype, device) with these weights (float64) and a bias."""
    # a copy keeps the class (TF's padding) and everything else that a convolution is made with
    out = copy.deepcopy(conv)
    out.kernel_size = cast(tuple[int, int], tuple(weight.shape[-2:]))
    for name, value in (("weight", weight), ("bias", bias)):
        parameter = nn.Parameter(value.detach().to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
        out.register_parameter(name, parameter)
    return out


def fold_norm_before_linear(norm: nn.BatchNorm1d, linear: nn.Linear) -> nn.Linear:
    """Return one linear layer that equals ``linear(norm(x))`` with the norm's running statistics."""
    scale, shift = norm_as_affine(norm)
    weight = linear.weight.double()
    bias = weight @ shift + (0 if linear.bias is None else linear.bias.double())
    return _linear(linear, weight * scale, bias)


def fold_norm_into_linear(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    """Return one linear layer that equals ``norm(linear(x))`` with the norm's running statistics."""
    scale, shift = norm_as_affine(norm)
    bias = shift if linear.bias is None else linear.bias.double() * scale + shift
    return _linear(linear, linear.weight.double() * scale.unsqueeze(1), bias)


def _linear(like: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    out = nn.Linear(like.in_features, like.out_features, device=like.weight.device, dtype=like.weight.dtype)
    for name, value in (("weight", weight), ("bias", bias)):
        parameter = nn.Parameter(value.detach().to(like.weight.dtype), requires_grad=like.weight.requires_grad)
        out.register_parameter(name, parameter)
    return out.train(like.training)
