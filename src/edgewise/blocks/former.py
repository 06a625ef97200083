"""Mobile-Former's blocks.

Source: arXiv 2108.05895, section 3, and the code that its authors released, which names the parameters and decides where the paper
leaves something open. There the parts run one after another: the tokens read the block's input, Former, the convolutions with the
first token as driver of their activations, then the block's output reads the tokens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.channel_shuffle import make_shuffle
from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.former_bridge import FormerToMobile, MobileToFormer, Tokens
from edgewise.blocks.former_relu import TokenReLU
from edgewise.blocks.former_tokens import Former
from edgewise.blocks.pooling import conv_stride, make_pool


class BneckLite(nn.Module):
    """Depthwise 3x3 that expands, norm, activation, linear 1x1, norm; residual where the shapes allow it. It knows no tokens.

    (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride). With ``groups`` above 1, the channels are shuffled before the 1x1.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        mid_chs: int,
        stride: int = 1,
        groups: int = 1,
        act: str = "relu6",
        *,
        conv: Conv | None = None,
        norm: Norm | None = None,
        drop_path: float = 0.0,
        downsample: str = "stride",
    ) -> None:
        super().__init__()
        conv, norm = conv or Conv(), norm or Norm()
        self.conv = nn.Sequential(
            conv(in_chs, mid_chs, 3, conv_stride(downsample, stride), groups=in_chs),
            norm(mid_chs),
            nn.Sequential(make_act(act, mid_chs), make_pool(downsample, mid_chs, stride)),
            make_shuffle(in_chs if groups > 1 else 1),
            conv(mid_chs, out_chs, groups=groups),
            norm(out_chs),
        )
        self.has_skip = stride == 1 and in_chs == out_chs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.conv(x)
        return x + self.drop_path(out) if self.has_skip else out

    def init_weights(self) -> None:
        """Draw the convolutions as the authors do."""
        init_convs(self)


class BridgedBlock(nn.Module, ABC):
    """Convolutions between the two bridges. Abstract: `_convolve` says which. A map and (N, M, d) to a map and (N, M, d)."""

    def __init__(self, in_chs: int, out_chs: int, tokens: Tokens, *, drop_path: float) -> None:
        super().__init__()
        self.local_global = MobileToFormer(in_chs, tokens, drop_path=drop_path)
        self.global_block = Former(tokens, drop_path=drop_path)
        self.global_local = FormerToMobile(out_chs, tokens, drop_path=drop_path)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, in_chs, H, W), (N, M, d) -> (N, out_chs, H/stride, W/stride), (N, M, d)."""
        tokens = self.global_block(self.local_global(x, tokens))
        out = self._convolve(x, tokens[:, 0])
        return self.global_local(out, tokens), tokens

    @abstractmethod
    def _convolve(self, x: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W), the first token (N, d) -> (N, out_chs, H/stride, W/stride)."""


class FormerBlock(BridgedBlock):
    """1x1 expansion, depthwise 3x3, each with a norm and dynamic ReLU; linear 1x1, norm; residual where in_chs = out_chs.

    (N, in_chs, H, W), (N, M, d) to (N, out_chs, H, W), (N, M, d). With ``groups`` above 1, both 1x1 convolutions' outputs are
    shuffled (26M).
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        mid_chs: int,
        groups: int = 1,
        *,
        tokens: Tokens,
        conv: Conv | None = None,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__(in_chs, out_chs, tokens, drop_path=drop_path)
        conv, norm = conv or Conv(), norm or Norm()
        self.conv1 = nn.Sequential(conv(in_chs, mid_chs, groups=groups), norm(mid_chs), make_shuffle(groups))
        self.hyper1 = TokenReLU(mid_chs, tokens.token_dim, tokens.hyper_reduction)
        self.conv2 = nn.Sequential(conv(mid_chs, mid_chs, 3, groups=mid_chs), norm(mid_chs))
        self.hyper2 = TokenReLU(mid_chs, tokens.token_dim, tokens.hyper_reduction)
        self.conv3 = nn.Sequential(conv(mid_chs, out_chs, groups=groups), norm(out_chs), make_shuffle(groups))
        self.has_skip = in_chs == out_chs

    def _convolve(self, x: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.hyper2(self.conv2(self.hyper1(self.conv1(x), token)), token)
        out = self.conv3(out)
        return x + self.drop_path(out) if self.has_skip else out

    def init_weights(self) -> None:
        """Draw the convolutions as the authors do."""
        init_convs(self)


class FormerDown(BridgedBlock):
    """Strided depthwise 3x3 that expands, dynamic ReLU, linear 1x1; then depthwise 3x3 that expands, dynamic ReLU, linear 1x1, residual.

    (N, in_chs, H, W), (N, M, d) to (N, out_chs, H/stride, W/stride), (N, M, d). The second expansion stands in the released code
    only. With ``groups`` above 1, both depthwise convolutions' outputs are shuffled (26M).
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        mid_chs: int,
        second_mid_chs: int,
        stride: int = 2,
        groups: int = 1,
        *,
        tokens: Tokens,
        conv: Conv | None = None,
        norm: Norm | None = None,
        drop_path: float = 0.0,
        downsample: str = "stride",
    ) -> None:
        super().__init__(in_chs, out_chs, tokens, drop_path=drop_path)
        conv, norm = conv or Conv(), norm or Norm()
        self.conv1 = nn.Sequential(
            conv(in_chs, mid_chs, 3, conv_stride(downsample, stride), groups=in_chs),
            norm(mid_chs),
            make_shuffle(in_chs if groups > 1 else 1),
        )
        self.hyper1 = TokenReLU(mid_chs, tokens.token_dim, tokens.hyper_reduction)
        self.aa = make_pool(downsample, mid_chs, stride)
        self.conv2 = nn.Sequential(conv(mid_chs, out_chs, groups=groups), norm(out_chs))
        self.conv3 = nn.Sequential(
            conv(out_chs, second_mid_chs, 3, groups=out_chs),
            norm(second_mid_chs),
            make_shuffle(out_chs if groups > 1 else 1),
        )
        self.hyper3 = TokenReLU(second_mid_chs, tokens.token_dim, tokens.hyper_reduction)
        self.conv4 = nn.Sequential(conv(second_mid_chs, out_chs, groups=groups), norm(out_chs))

    def _convolve(self, x: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        halved: torch.Tensor = self.conv2(self.aa(self.hyper1(self.conv1(x), token)))
        added: torch.Tensor = self.drop_path(self.conv4(self.hyper3(self.conv3(halved), token)))
        return halved + added

    def init_weights(self) -> None:
        """Draw the convolutions as the authors do."""
        init_convs(self)


def init_convs(module: nn.Module) -> None:
    """Draw every convolution in ``module`` from a normal distribution with fan-out, which here is not divided by the groups."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels
            nn.init.normal_(conv.weight, 0.0, math.sqrt(2.0 / fan_out))
