"""A small network with the parts of a MobileNet, and real pictures for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from edgewise.records.artifact import Preprocessing

SIZE = 16
PREPROCESSING = Preprocessing(img_size=SIZE, crop_pct=1.0, mean=(0.3, 0.2, 0.7), std=(0.4, 0.3, 0.2))
LABELS = tuple(f"digit {i}" for i in range(10))
Images = NDArray[np.float32]


class ConvNorm(nn.Module):
    """Convolution, batch norm, activation; named so that `fuse` folds it."""

    def __init__(self, in_chs: int, out_chs: int, kernel: int, *, stride: int = 1, groups: int = 1, act: nn.Module):
        super().__init__()
        self.conv = nn.Conv2d(in_chs, out_chs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_chs)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)))


class TinyNet(nn.Module):
    """Stem, inverted bottleneck with residual, pooling, 1x1 head, classifier (10, 10)."""

    def __init__(self, in_chs: int = 3):
        super().__init__()
        self.stem = ConvNorm(in_chs, 16, 3, stride=2, act=nn.Hardswish())
        self.expand = ConvNorm(16, 32, 1, act=nn.ReLU())
        self.depthwise = ConvNorm(32, 32, 3, groups=32, act=nn.ReLU())
        self.project = ConvNorm(32, 16, 1, act=nn.Identity())
        self.down = ConvNorm(16, 48, 3, stride=2, act=nn.ReLU())
        self.head = nn.Conv2d(48, 10, 1)
        self.classifier = nn.Linear(10, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(self.expand(x)))
        x = F.relu(self.head(self.down(x).mean((2, 3), keepdim=True)))
        return self.classifier(x.flatten(1))


def digit_pictures() -> tuple[Images, NDArray[np.int64]]:
    """scikit-learn's digits as normalised three-channel pictures whose channels differ."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = np.kron(digits.images / 16, np.ones((2, 2)))
    pictures = np.stack([grey, grey**2, 1 - grey], axis=1)
    mean, std = (np.array(v)[:, None, None] for v in (PREPROCESSING.mean, PREPROCESSING.std))
    order = np.random.default_rng(0).permutation(len(pictures))
    return ((pictures - mean) / std).astype(np.float32)[order], digits.target[order].astype(np.int64)


def train(model: nn.Module, images: Images, targets: NDArray[np.int64], steps: int = 300) -> None:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    x, y = torch.from_numpy(images), torch.from_numpy(targets)
    # down to nothing, or the last batches decide what a rounding does to the answers
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, steps)
    for _ in range(steps):
        batch = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimiser.step()
        schedule.step()


def in_batches(
    images: Images, targets: NDArray[np.int64], size: int = 50
) -> Iterator[tuple[Images, NDArray[np.int64]]]:
    for start in range(0, len(images), size):
        yield images[start : start + size], targets[start : start + size]
