"""RepViT's stem, block and downsampling block (Wang et al. 2024, arXiv 2307.09283). State-dict keys as in timm."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.fold import (
    conv_weights,
    fold_norm,
    identity_weights,
    norm_as_affine,
    scale_weights,
    sum_branches,
    with_weights,
)
from edgewise.blocks.squeeze_excite import SE, make_se_module
from edgewise.spec.scale import make_divisible


class ConvC(nn.Module):
    """``c`` (a convolution without bias) and ``bn``. (N, in_chs, H, W) to (N, out_chs, ceil(H/stride), ceil(W/stride))."""

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        dilation: int = 1,
        norm: Norm | None = None,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.c = nn.Conv2d(in_chs, out_chs, kernel, stride, padding, dilation, groups, bias=False)
        self.bn = (norm or Norm())(out_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ceil(H/stride), ceil(W/stride))."""
        out: torch.Tensor = self.bn(self.c(x))
        return out

    def fused(self) -> nn.Conv2d:
        """Return one convolution."""
        return fold_norm(self.c, self.bn)


class TokenMixer(nn.Module):
    """Depthwise k x k with norm, depthwise 1x1 with bias, the input itself; summed; norm. (N, C, H, W) to (N, C, H, W).

    ``legacy`` is the mixer of the first paper version (M1, M2, M3): the 1x1 has a norm instead of a bias, the sum has none.
    """

    def __init__(
        self, num_chs: int, kernel: int = 3, legacy: bool = False, *, dilation: int = 1, norm: Norm | None = None
    ) -> None:
        super().__init__()
        norm = norm or Norm()
        self.conv = ConvC(num_chs, num_chs, kernel, groups=num_chs, dilation=dilation, norm=norm)
        self.conv1 = (
            ConvC(num_chs, num_chs, groups=num_chs, norm=norm)
            if legacy
            else nn.Conv2d(num_chs, num_chs, 1, groups=num_chs)
        )
        self.bn = None if legacy else norm(num_chs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        # in place: a batch norm's gradient does not need its output
        out: torch.Tensor = self.conv(x)
        out += self.conv1(x)
        out += x
        return out if self.bn is None else self.bn(out)

    def fused(self) -> nn.Conv2d:
        """Return one depthwise k x k convolution."""
        conv, beside = self.conv.c, self.conv1
        one = conv_weights(beside.c, beside.bn) if isinstance(beside, ConvC) else conv_weights(beside)
        weights = sum_branches([conv_weights(conv, self.conv.bn), one, identity_weights(conv)])
        if self.bn is not None:
            weights = scale_weights(weights, *norm_as_affine(self.bn))
        return with_weights(conv, *weights)


class ChannelMixer(nn.Module):
    """1x1 expansion, norm, activation, 1x1, norm; added to the input. (N, C, H, W) to (N, C, H, W). Starts as an identity."""

    def __init__(
        self,
        num_chs: int,
        expand_ratio: float = 2.0,
        act: str = "gelu",
        *,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        mid_chs = make_divisible(num_chs * expand_ratio)
        self.conv1 = ConvC(num_chs, mid_chs, norm=norm)
        self.act = make_act(act, mid_chs)
        self.conv2 = ConvC(mid_chs, num_chs, norm=norm)
        self.drop_path = DropPath(drop_path)

    def init_weights(self) -> None:
        """Let the branch start at 0, as the authors do."""
        nn.init.zeros_(self.conv2.bn.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        out: torch.Tensor = self.drop_path(self.conv2(self.act(self.conv1(x))))
        out += x
        return out


class RepViT(nn.Module):
    """Token mixer, optional squeeze-and-excitation, channel mixer (figure 3). (N, C, H, W) to (N, C, H, W).

    The token mixer's residual is one of its branches; the channel mixer's starts behind the squeeze-and-excitation.
    """

    def __init__(
        self,
        in_chs: int,
        kernel: int = 3,
        expand_ratio: float = 2.0,
        legacy: bool = False,
        act: str = "gelu",
        se: SE | None = None,
        *,
        dilation: int = 1,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.token_mixer = TokenMixer(in_chs, kernel, legacy, dilation=dilation, norm=norm)
        self.se = make_se_module(se, in_chs) if se else None
        self.channel_mixer = ChannelMixer(in_chs, expand_ratio, act, norm=norm, drop_path=drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        x = self.token_mixer(x)
        if self.se is not None:
            x = self.se(x)
        out: torch.Tensor = self.channel_mixer(x)
        return out


class RepViTDown(nn.Module):
    """A RepViT block at the old width, a strided depthwise, a 1x1 to the new width, a channel mixer there (figure 3).

    (N, in_chs, H, W) to (N, out_chs, ceil(H/stride), ceil(W/stride)). There is no activation between depthwise and 1x1.
    """

    def __init__(
        self,
        in_chs: int,
        out_chs: int,
        stride: int = 2,
        kernel: int = 3,
        expand_ratio: float = 2.0,
        legacy: bool = False,
        act: str = "gelu",
        *,
        norm: Norm | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.pre_block = RepViT(in_chs, kernel, expand_ratio, legacy, act, norm=norm, drop_path=drop_path)
        self.spatial_downsample = ConvC(in_chs, in_chs, kernel, stride, groups=in_chs, norm=norm)
        self.channel_downsample = ConvC(in_chs, out_chs, norm=norm)
        self.ffn = ChannelMixer(out_chs, expand_ratio, act, norm=norm, drop_path=drop_path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, ceil(H/stride), ceil(W/stride))."""
        out: torch.Tensor = self.ffn(self.channel_downsample(self.spatial_downsample(self.pre_block(x))))
        return out


class RepViTStem(nn.Module):
    """3x3 to half the width, norm, activation, 3x3, norm (section 3.3). (N, in_chs, H, W) to (N, out_chs, H/stride, W/stride)."""

    def __init__(
        self, in_chs: int, out_chs: int, stride: int = 4, act: str = "gelu", *, norm: Norm | None = None
    ) -> None:
        super().__init__()
        self.conv1 = ConvC(in_chs, out_chs // 2, 3, 2 if stride > 1 else 1, norm=norm)
        self.act1 = make_act(act, out_chs // 2)
        self.conv2 = ConvC(out_chs // 2, out_chs, 3, 2 if stride > 2 else 1, norm=norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chs, H, W) -> (N, out_chs, H/stride, W/stride)."""
        out: torch.Tensor = self.conv2(self.act1(self.conv1(x)))
        return out
