"""Making convolutions: symmetric padding, or TensorFlow's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME``: ceil(size / stride) out, an odd pixel of padding goes behind.

    Behind and in front differ only for even sizes under a stride; it is then one pixel to the right and below of symmetric padding.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """(N, C, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        rows = self._padding(input.shape[-2], 0)
        columns = self._padding(input.shape[-1], 1)
        padded = F.pad(input, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding(self, size: int, axis: int) -> int:
        stride, reach = self.stride[axis], (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
        return max(0, (-(-size // stride) - 1) * stride + reach - size)


@dataclass(frozen=True, slots=True)
class Conv:
    """How a network pads its convolutions; ``same`` is TensorFlow's way, which differs only under a stride."""

    padding: str = "symmetric"

    def __call__(
        self, in_chs: int, out_chs: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, bias: bool = False
    ) -> nn.Conv2d:
        """Make a convolution, (N, in_chs, H, W) to (N, out_chs, ceil(H / stride), ceil(W / stride)) for odd kernels."""
        if self.padding == "same" and stride > 1 and kernel > 1:
            return SameConv2d(in_chs, out_chs, kernel, stride, groups=groups, bias=bias)
        return nn.Conv2d(in_chs, out_chs, kernel, stride, kernel // 2, groups=groups, bias=bias)
