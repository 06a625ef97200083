"""The arithmetic of folding: norms and branches into convolutions and linear layers, in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

Weights = tuple[torch.Tensor, torch.Tensor]
"""A kernel (out, in / groups, k, k) or matrix (out, in), and a bias (out,); float64."""


def exact(tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor`` in float64 without its graph; on the CPU where its device has no such type (Apple's)."""
    return (tensor.detach().cpu() if tensor.device.type == "mps" else tensor.detach()).double()


def norm_as_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scale and shift per channel (C,), float64, that ``norm`` is with its running statistics."""
    mean, var = norm.running_mean, norm.running_var
    assert mean is not None
    assert var is not None
    scale = torch.rsqrt(exact(var) + norm.eps)
    shift = -exact(mean) * scale
    if norm.affine:
        scale = scale * exact(norm.weight)
        shift = shift * exact(norm.weight) + exact(norm.bias)
    return scale, shift


def fold_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Return one convolution that equals ``norm(conv(x))`` with the norm's running statistics."""
    return with_weights(conv, *conv_weights(conv, norm))


def conv_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> Weights:
    """Return the weights of ``conv``, or of the one convolution that equals ``norm(conv(x))``."""
    kernel = exact(conv.weight)
    weights = kernel, kernel.new_zeros(len(kernel)) if conv.bias is None else exact(conv.bias)
    return weights if norm is None else scale_weights(weights, *norm_as_affine(norm))


def identity_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> Weights:
    """Return weights for a convolution shaped like ``conv`` that gives its input back, or ``norm`` of its input.

    Source: RepVGG, arXiv 2101.03697, figure 4. In a grouped convolution, input channel i is number i mod (in / groups) of its group.
    """
    kernel = torch.zeros_like(exact(conv.weight))
    num_chs, per_group, height, width = kernel.shape
    channel = torch.arange(num_chs, device=kernel.device)
    kernel[channel, channel % per_group, height // 2, width // 2] = 1.0
    weights = kernel, kernel.new_zeros(num_chs)
    return weights if norm is None else scale_weights(weights, *norm_as_affine(norm))


def scale_weights(weights: Weights, scale: torch.Tensor, shift: torch.Tensor) -> Weights:
    """Return the weights of ``f(x) * scale + shift`` per output channel, where ``weights`` are those of the convolution f."""
    kernel, bias = weights
    return kernel * scale.view(-1, 1, 1, 1), bias * scale + shift


def sum_branches(branches: Sequence[Weights]) -> Weights:
    """Return the weights of the sum of convolutions over the same input, of one stride and dilation, zero-padded to keep the size.

    Smaller kernels are padded to the size of the largest, their centres on its centre.
    """
    side = max(kernel.shape[-1] for kernel, _ in branches)
    margins = [(side - kernel.shape[-1]) // 2 for kernel, _ in branches]
    kernels = [F.pad(kernel, [margin] * 4) for (kernel, _), margin in zip(branches, margins, strict=True)]
    return torch.stack(kernels).sum(0), torch.stack([bias for _, bias in branches]).sum(0)


def with_weights(conv: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor) -> nn.Conv2d:
    """Return a convolution like ``conv`` (stride, padding, dilation, groups, dtype, device) with these weights (float64) and a bias."""
    # a copy keeps the class (TF's padding) and everything else that a convolution is made with
    out = copy.deepcopy(conv)
    out.kernel_size = cast(tuple[int, int], tuple(weight.shape[-2:]))
    _put_weights(out, conv.weight, weight, bias)
    return out


def fold_norm_before_linear(norm: nn.BatchNorm1d, linear: nn.Linear) -> nn.Linear:
    """Return one linear layer that equals ``linear(norm(x))``, x (N, C), with the norm's running statistics."""
    return linear_with_weights(linear, *weights_behind_norm(norm, linear))


def weights_behind_norm(norm: nn.BatchNorm1d, linear: nn.Linear) -> Weights:
    """Return the weights of the one linear layer that equals ``linear(norm(x))``, x (N, C)."""
    scale, shift = norm_as_affine(norm)
    weight, bias = linear_weights(linear)
    return weight * scale, weight @ shift + bias


def fold_norm_into_linear(linear: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    """Return one linear layer that equals ``norm(linear(x))``, x (N, C), with the norm's running statistics."""
    scale, shift = norm_as_affine(norm)
    weight, bias = linear_weights(linear)
    return linear_with_weights(linear, weight * scale.unsqueeze(1), bias * scale + shift)


def linear_weights(linear: nn.Linear) -> Weights:
    """Return the weights of ``linear``."""
    weight = exact(linear.weight)
    return weight, weight.new_zeros(len(weight)) if linear.bias is None else exact(linear.bias)


def linear_with_weights(like: nn.Linear, weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    """Return a linear layer of the dtype and device of ``like`` with these weights (float64)."""
    out = copy.deepcopy(like)
    _put_weights(out, like.weight, weight, bias)
    return out


def _put_weights(layer: nn.Conv2d | nn.Linear, like: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> None:
    for name, value in (("weight", weight), ("bias", bias)):
        parameter = nn.Parameter(value.to(like.device, like.dtype), requires_grad=like.requires_grad)
        layer.register_parameter(name, parameter)
