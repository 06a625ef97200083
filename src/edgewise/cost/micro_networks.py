"""Small random networks of the blocks that mobile networks are made of: what a latency predictor is calibrated on.

A kernel by itself is timed wrongly: engines reorder tensors at a graph's ends, and what follows decides which layout a kernel writes. So a
micro-network is a stem that leaves a map of any size and width, a few blocks, and a head; its latency is the sum of its kernels.
Sizes are drawn from the ranges of mobile networks (`shared/facts` tables; MobileNetV1 to V4, RepViT, RepVGG, FastViT, EfficientViT,
GhostNet, ShuffleNet, MobileViT, ConvNeXt), no network is copied.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from edgewise.blocks.attention import MHSA, MQA
from edgewise.blocks.channel_shuffle import ChannelShuffle
from edgewise.blocks.squeeze_excite import SqueezeExcite

SIDES: Final = (64, 96, 112, 128, 160, 192, 224, 256, 288, 320, 384)
"""Of the input, in pixels."""
MAX_BLOCKS: Final = 5
DEEP: Final = (8, 16)
"""Blocks of the deep networks: in them weights and maps come from farther away than in small ones, as in whole networks."""
SHARE_DEEP: Final = 0.3
MACS: Final = (1e6, 1.5e9)
"""A network below is timed too coarsely, one above takes too long."""
ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


@dataclass(frozen=True, slots=True)
class MicroNetwork:
    """A network with the side of its input in pixels."""

    model: nn.Module
    img_size: int


def micro_network(seed: int) -> MicroNetwork:
    """Draw a network: the same one for the same ``seed``, with weights that the seed decides too."""
    rng = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        while True:
            side = rng.choice(SIDES)
            network = _Network(rng, side)
            if MACS[0] <= network.macs <= MACS[1]:
                return MicroNetwork(network.eval(), side)


class _Network(nn.Module):
    """(N, 3, S, S) to (N, classes)."""

    def __init__(self, rng: random.Random, side: int) -> None:
        super().__init__()
        is_deep = rng.random() < SHARE_DEEP
        stride = rng.choice([2, 2, 4] if is_deep else [2, 2, 4, 8, 16, 32])
        height = side // stride
        # wide maps are small ones, as in every published network; a factor of three either way
        typical = 16 * stride**0.8 * 2 ** rng.uniform(-1.0, 1.6)
        width = _width(rng, typical)
        act = rng.choice(list(ACTIVATIONS))
        kernel = 3 if stride == 2 else stride
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, kernel, stride, 1 if stride == 2 else 0, bias=False),
            nn.BatchNorm2d(width),
            ACTIVATIONS[act](),
        )
        self.macs: float = 3 * kernel**2 * width * height**2
        blocks: list[nn.Module] = []
        kinds = rng.choices(list(BLOCKS), weights=[weight for _, weight in BLOCKS.values()], k=rng.randint(1, 2))
        num_blocks = rng.randint(*DEEP) if is_deep else rng.randint(1, MAX_BLOCKS)
        for _ in range(num_blocks):
            make = BLOCKS[rng.choice(kinds)][0]
            place = _Place(rng, width, height, act)
            block = make(place)
            blocks.append(block)
            width, height = place.out_chs, place.out_side
            self.macs += place.macs
            if height < 4:
                break
        self.blocks = nn.Sequential(*blocks)
        classes = rng.choice([10, 100, 1000])
        hidden = _width(rng, 2 * width) if rng.random() < 0.3 else 0
        head: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        if hidden:
            head += [nn.Linear(width, hidden), ACTIVATIONS[act]()]
        self.head = nn.Sequential(*head, nn.Linear(hidden or width, classes))
        self.macs += width * hidden + (hidden or width) * classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.blocks(self.stem(x)))
        return logits


@dataclass(slots=True)
class _Place:
    """Where a block stands, and, once it is made, what it leaves and costs."""

    rng: random.Random
    chs: int
    side: int
    act: str
    out_chs: int = 0
    out_side: int = 0
    macs: float = 0.0

    def __post_init__(self) -> None:
        self.out_chs, self.out_side = self.chs, self.side

    def function(self) -> nn.Module:
        return ACTIVATIONS[self.act]()

    def conv(self, in_chs: int, out_chs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        """A convolution with its norm; the map's side follows."""
        self.out_side = -(-self.out_side // stride)
        self.macs += in_chs // groups * out_chs * kernel**2 * self.out_side**2
        conv = nn.Conv2d(in_chs, out_chs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(out_chs)]

    def grown(self) -> tuple[int, int]:
        """A stride, and the output's width: wider where the map becomes smaller."""
        stride = 2 if self.side >= 8 and self.rng.random() < 0.3 else 1
        if stride == 2:
            return 2, _width(self.rng, self.chs * self.rng.uniform(1.2, 2.2))
        return 1, self.chs if self.rng.random() < 0.7 else _width(self.rng, self.chs * self.rng.uniform(0.7, 1.6))


def _width(rng: random.Random, about: float) -> int:
    """Most widths are multiples of eight, some of four or of nothing."""
    step = rng.choice([8] * 6 + [16, 4, 1])
    return max(step, 8, round(min(about, 1280) / step) * step)


class _Residual(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = x + self.body(x)
        return added


def _joined(layers: Sequence[nn.Module], place: _Place, stride: int) -> nn.Module:
    """The layers, added to their input where that is possible."""
    body = nn.Sequential(*layers)
    return _Residual(body) if stride == 1 and place.out_chs == place.chs and place.rng.random() < 0.9 else body


def _inverted_bottleneck(place: _Place) -> nn.Module:
    """The universal one, in its four forms."""
    rng = place.rng
    stride, place.out_chs = place.grown()
    start = rng.choice([0, 0, 0, 3, 3, 5, 7])
    middle = rng.choice([0, 3, 3, 3, 5, 5, 7])
    if stride == 2 and not middle:
        middle = 3
    hidden = _width(rng, place.chs * rng.choice([1, 2, 3, 4, 4, 6]))
    layers: list[nn.Module] = []
    if start:
        layers += place.conv(place.chs, place.chs, start, groups=place.chs)
    layers += [*place.conv(place.chs, hidden), place.function()]
    if middle:
        layers += [*place.conv(hidden, hidden, middle, stride, groups=hidden), place.function()]
    if rng.random() < 0.25:
        layers.append(SqueezeExcite(hidden, _width(rng, hidden / 4)))
    layers += place.conv(hidden, place.out_chs)
    return _joined(layers, place, stride)


def _fused_bottleneck(place: _Place) -> nn.Module:
    stride, place.out_chs = place.grown()
    hidden = _width(place.rng, place.chs * place.rng.choice([1, 2, 4]))
    layers = [*place.conv(place.chs, hidden, 3, stride), place.function(), *place.conv(hidden, place.out_chs)]
    return _joined(layers, place, stride)


def _dense(place: _Place) -> nn.Module:
    """One convolution with a window, as RepVGG's when it is folded; grouped at times."""
    rng = place.rng
    stride, place.out_chs = place.grown()
    divisors = [each for each in (2, 4, 8, 16) if place.chs % each == 0 and place.out_chs % each == 0]
    groups = rng.choice(divisors) if divisors and rng.random() < 0.2 else 1
    return nn.Sequential(
        *place.conv(place.chs, place.out_chs, rng.choice([3, 3, 3, 5]), stride, groups), place.function()
    )


def _separable(place: _Place) -> nn.Module:
    """Depthwise, then pointwise, each with a function: MobileNetV1, MobileOne."""
    stride, place.out_chs = place.grown()
    kernel = place.rng.choice([3, 3, 3, 5, 7])
    depthwise = place.conv(place.chs, place.chs, kernel, stride, groups=place.chs)
    return nn.Sequential(*depthwise, place.function(), *place.conv(place.chs, place.out_chs), place.function())


def _map_attention(place: _Place) -> nn.Module:
    """MobileNetV4's, on maps of at most 24 x 24."""
    rng = place.rng
    if place.side > 24:
        return _separable(place)
    key, heads = rng.choice([32, 64]), rng.choice([2, 4, 8])
    strided = 2 if place.side >= 10 and rng.random() < 0.5 else 1
    kind = MQA if rng.random() < 0.7 else MHSA
    tokens = place.side**2
    keys = math.ceil(place.side / strided) ** 2
    place.macs += tokens * place.chs * key * heads * 2 + keys * place.chs * key * 2 + 2 * heads * tokens * keys * key
    return kind(place.chs, heads, key, key, strided)


class _Transformer(nn.Module):
    """Tokens of a map through attention and a perceptron, as MobileViT, FastViT's last stage and EfficientFormer have them."""

    def __init__(self, chs: int, heads: int, ratio: int, *, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.first, self.second = nn.LayerNorm(chs), nn.LayerNorm(chs)
        self.qkv, self.out = nn.Linear(chs, 3 * chs), nn.Linear(chs, chs)
        self.mlp = nn.Sequential(nn.Linear(chs, ratio * chs), nn.GELU(), nn.Linear(ratio * chs, chs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, chs, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        qkv = self.qkv(self.first(tokens)).reshape(batch, -1, 3, self.heads, chs // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        if self.fused:
            mixed = functional.scaled_dot_product_attention(query, key, value)
        else:
            scores = (query * (chs // self.heads) ** -0.5) @ key.transpose(-2, -1)
            mixed = scores.softmax(-1) @ value
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, -1, chs))
        tokens = tokens + self.mlp(self.second(tokens))
        out: torch.Tensor = tokens.transpose(1, 2).reshape(batch, chs, height, width)
        return out


def _transformer(place: _Place) -> nn.Module:
    rng = place.rng
    if place.side > 24:
        return _separable(place)
    heads = rng.choice([2, 4, 8])
    if place.chs % heads:
        return _inverted_bottleneck(place)
    ratio, tokens = rng.choice([2, 4]), place.side**2
    place.macs += tokens * place.chs**2 * (4 + 2 * ratio) + 2 * tokens**2 * place.chs
    return _Transformer(place.chs, heads, ratio, fused=rng.random() < 0.5)


class _ConvNext(nn.Module):
    """Depthwise 7 x 7, a norm over channels, a perceptron that is linear layers or pointwise convolutions, a scale a channel."""

    def __init__(self, chs: int, ratio: int, *, channels_last: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(chs, chs, 7, padding=3, groups=chs)
        self.channels_last = channels_last
        self.scale = nn.Parameter(torch.full((chs,), 0.5))
        if channels_last:
            self.norm: nn.Module = nn.LayerNorm(chs)
            self.mlp = nn.Sequential(nn.Linear(chs, ratio * chs), nn.GELU(), nn.Linear(ratio * chs, chs))
        else:
            self.norm = nn.BatchNorm2d(chs)
            self.mlp = nn.Sequential(nn.Conv2d(chs, ratio * chs, 1), nn.GELU(), nn.Conv2d(ratio * chs, chs, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.depthwise(x)
        if self.channels_last:
            y = (self.mlp(self.norm(y.permute(0, 2, 3, 1))) * self.scale).permute(0, 3, 1, 2)
        else:
            y = self.mlp(self.norm(y)) * self.scale[:, None, None]
        added: torch.Tensor = x + y
        return added


def _convnext(place: _Place) -> nn.Module:
    ratio = place.rng.choice([2, 3, 4])
    place.macs += place.side**2 * (49 * place.chs + 2 * ratio * place.chs**2)
    return _ConvNext(place.chs, ratio, channels_last=place.rng.random() < 0.6)


class _Ghost(nn.Module):
    """Half of the channels by a convolution, the others from those by a cheap one (GhostNet)."""

    def __init__(self, primary: nn.Module, cheap: nn.Module, out_chs: int) -> None:
        super().__init__()
        self.primary, self.cheap, self.out_chs = primary, cheap, out_chs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], dim=1)[:, : self.out_chs]


def _ghost(place: _Place) -> nn.Module:
    place.out_chs = _width(place.rng, place.chs * place.rng.uniform(0.8, 2.0))
    half = math.ceil(place.out_chs / 2)
    primary = nn.Sequential(*place.conv(place.chs, half), place.function())
    return _Ghost(primary, nn.Sequential(*place.conv(half, half, 3, groups=half), place.function()), place.out_chs)


class _Shuffle(nn.Module):
    """Half of the channels through a branch, then all shuffled (ShuffleNet V2)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, dim=1)
        shuffled: torch.Tensor = self.shuffle(torch.cat([left, self.branch(right)], dim=1))
        return shuffled


def _shuffle(place: _Place) -> nn.Module:
    if place.chs % 2:
        return _separable(place)
    half = place.chs // 2
    layers = [*place.conv(half, half), place.function(), *place.conv(half, half, 3, groups=half)]
    return _Shuffle(nn.Sequential(*layers, *place.conv(half, half), place.function()))


class _Upsampled(nn.Module):
    """A branch at half the size, brought back and added."""

    def __init__(self, branch: nn.Module, mode: str) -> None:
        super().__init__()
        self.branch, self.mode = branch, mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = self.branch(functional.avg_pool2d(x, 2))
        return x + functional.interpolate(small, size=x.shape[-2:], mode=self.mode)


def _upsampled(place: _Place) -> nn.Module:
    if place.side < 8 or place.side % 2:
        return _separable(place)
    place.macs += place.chs**2 * (place.side // 2) ** 2
    branch = nn.Sequential(nn.Conv2d(place.chs, place.chs, 1, bias=False), nn.BatchNorm2d(place.chs), place.function())
    return _Upsampled(branch, place.rng.choice(["nearest", "bilinear"]))


def _pooled(place: _Place) -> nn.Module:
    """A pooling, then a pointwise convolution."""
    rng = place.rng
    if place.side < 8:
        return _inverted_bottleneck(place)
    pool = rng.choice([nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(2)])
    place.out_side = place.side // 2 if isinstance(pool.padding, int) and pool.padding == 0 else -(-place.side // 2)
    place.out_chs = _width(rng, place.chs * rng.uniform(1.0, 2.0))
    return nn.Sequential(pool, *place.conv(place.chs, place.out_chs), place.function())


BLOCKS: Final[dict[str, tuple[Callable[[_Place], nn.Module], float]]] = {
    "inverted bottleneck": (_inverted_bottleneck, 6.0),
    "fused bottleneck": (_fused_bottleneck, 1.5),
    "dense": (_dense, 2.0),
    "separable": (_separable, 2.0),
    "map attention": (_map_attention, 1.0),
    "transformer": (_transformer, 1.0),
    "convnext": (_convnext, 1.0),
    "ghost": (_ghost, 0.7),
    "shuffle": (_shuffle, 0.7),
    "upsampled": (_upsampled, 0.3),
    "pooled": (_pooled, 0.5),
}
"""Each with how often it is drawn."""
