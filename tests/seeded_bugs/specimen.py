"""A small network with one of everything that exporters get wrong."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.records.artifact import Preprocessing

SIZE = 32
NUM_CLASSES = 16
PREPROCESSING = Preprocessing(img_size=SIZE)
LABELS = tuple(f"class {index}" for index in range(NUM_CLASSES))
WIDE = 1e6
"""By which the values of the wide specimen leave half precision's range, in two layers that cancel out."""


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation; named so that `fuse` folds it."""

    def __init__(self, in_chs: int, out_chs: int, kernel: int, act: nn.Module, *, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_chs, out_chs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_chs)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class Gate(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, chs: int):
        super().__init__()
        self.reduce = nn.Conv2d(chs, chs // 4, 1)
        self.expand = nn.Conv2d(chs // 4, chs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        squeezed = torch.relu(self.reduce(x.mean((2, 3), keepdim=True)))
        return x * nn.functional.hardsigmoid(self.expand(squeezed))


class Attention(nn.Module):
    """Self-attention of the map's pixels, with two heads and a residual; (N, C, H, W) to the same."""

    num_heads = 2

    def __init__(self, chs: int):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(chs, chs) for _ in range(4))
        self.scale = (chs // self.num_heads) ** -0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = (part(tokens).view(n, h * w, self.num_heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        mixed = ((q * self.scale) @ k.transpose(-2, -1)).softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).reshape(n, h * w, c)).transpose(1, 2).reshape(n, c, h, w)


class Specimen(nn.Module):
    """(N, 3, 32, 32) to (N, 16); the last two maps are of one width, so that a square head and a wrong layer fit."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 16, 3, nn.Hardswish(), stride=2)
        self.expand = ConvNorm(16, 48, 1, nn.ReLU6())
        self.depthwise = ConvNorm(48, 48, 3, nn.ReLU6(), groups=48)
        self.gate = Gate(48)
        self.project = ConvNorm(48, 16, 1, nn.Identity())
        self.pool = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.grouped = ConvNorm(16, 32, 3, nn.GELU(), stride=2, groups=4)
        self.down = ConvNorm(32, 32, 5, nn.ReLU(), stride=2)
        self.attention = Attention(32)
        self.head = nn.Conv2d(32, NUM_CLASSES, 1)
        self.drop = nn.Dropout(0.2)
        self.classifier = nn.Linear(NUM_CLASSES, NUM_CLASSES)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, 16): what the classifier sees."""
        x = self.stem(x)
        x = self.pool(x + self.project(self.gate(self.depthwise(self.expand(x)))))
        x = self.attention(self.down(self.grouped(x)))
        return nn.functional.hardswish(self.head(x.mean((2, 3), keepdim=True))).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.drop(self.forward_features(x)))


def specimen(seed: int = 0) -> Specimen:
    """Return the network in eval mode, with weights and statistics as of a trained one: none is trivial, no two are alike."""
    torch.manual_seed(seed)
    net = Specimen().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5)
                if module.bias is not None:
                    module.bias.normal_(0, 0.2)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.3, 1.2)
                module.weight.uniform_(0.6, 1.4)
                module.bias.normal_(0, 0.2)
    return net


def wide_specimen() -> Specimen:
    """Return the specimen with two neighbouring linear layers whose weights leave half precision's range, up and down."""
    net = specimen()
    with torch.no_grad():
        net.attention.v.weight.mul_(WIDE)
        net.attention.v.bias.mul_(WIDE)
        net.attention.out.weight.div_(WIDE)
    return net
