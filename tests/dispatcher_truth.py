"""A second count of multiply-accumulates, that shares nothing with `edgewise.cost`: a number for each call of a multiplying kernel.

It hears torch's dispatcher while the model runs as it is, on whatever device it lies, and does the arithmetic from the sizes of
the tensors that come by; for convolutions along another way than ours: from the padding and the strides.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

ATTENTION = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
)


class Truth(TorchDispatchMode):
    """Sums up `macs` while it is entered; `others` are operators that ran besides."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.others: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name == "convolution":
            self.macs += _convolution(*args[:9])
        elif name == "mm":
            rows, inner = args[0].shape
            self.macs += rows * inner * args[1].shape[1]
        elif name == "addmm":
            rows, inner = args[1].shape
            self.macs += rows * inner * args[2].shape[1]
        elif name == "bmm":
            num, rows, inner = args[0].shape
            self.macs += num * rows * inner * args[1].shape[2]
        elif name == "baddbmm":
            num, rows, inner = args[1].shape
            self.macs += num * rows * inner * args[2].shape[2]
        elif name in ATTENTION:
            (num, heads, queries, width), keys = args[0].shape, args[1].shape[2]
            self.macs += num * heads * queries * keys * (width + args[2].shape[3])
        else:
            self.others.add(name)
        return answer


def _convolution(image, weight, _bias, stride, padding, dilation, transposed, _output_padding, groups) -> int:
    sides = image.shape[2:]
    places = 1
    if transposed:
        for side in sides:
            places *= side
    else:
        for side, step, pad, spread, window in zip(
            sides, _each(stride, sides), _each(padding, sides), _each(dilation, sides), weight.shape[2:], strict=True
        ):
            places *= (side + 2 * pad - spread * (window - 1) - 1) // step + 1
    in_chs = image.shape[1]
    out_chs = weight.shape[1] * groups if transposed else weight.shape[0]
    window = 1
    for size in weight.shape[2:]:
        window *= size
    return image.shape[0] * places * window * (in_chs // groups) * (out_chs // groups) * groups


def _each(given: list[int], sides: Any) -> list[int]:
    return list(given) * len(sides) if len(given) == 1 else list(given)


def true_macs(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Run ``model`` as it stands on an image of ``shape`` and count."""
    first = next(model.parameters())
    with torch.no_grad(), Truth() as truth:
        model.eval()(torch.zeros(shape, dtype=first.dtype, device=first.device))
    return truth.macs
