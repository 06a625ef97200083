"""What a file takes and gives around the network inside it: pixels or normalised values, their order, logits or probabilities."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from edgewise.deploy.answers import Images, ordered
from edgewise.records.artifact import Layout, Output, Preprocessing, Values

WHITE = 255
NETWORK = "network"
"""What the network is called in the module around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """The ends of a file.

    Attributes:
        fold_normalize: the file takes pixels from 0 to 255 and normalises them by itself.
        softmax: the file gives probabilities.
        layout: the order of the input's axes.
    """

    fold_normalize: bool = False
    softmax: bool = False
    layout: Layout = "nchw"

    @property
    def output(self) -> Output:
        """What the file gives, which is also the output's name where the format has names."""
        return "probabilities" if self.softmax else "logits"

    @property
    def values(self) -> Values:
        """What one value of the input is."""
        return "0-255" if self.fold_normalize else "normalised"

    def recipe(self, network: Preprocessing) -> Preprocessing:
        """Return what is to be done before the file, where ``network`` is to be done before the network."""
        if not self.fold_normalize:
            return network
        chans = len(network.mean)
        return network.model_copy(update={"mean": (0.0,) * chans, "std": (1 / WHITE,) * chans})

    def shape(self, network: Preprocessing) -> tuple[int, int, int]:
        """Return the sizes of one input."""
        chans, side = len(network.mean), network.img_size
        return (chans, side, side) if self.layout == "nchw" else (side, side, chans)

    def given(self, images: Images, network: Preprocessing) -> Images:
        """Return ``images`` as the file takes them.

        Args:
            images: normalised by ``network``, (N, C, S, S).
            network: what is done before the network.
        """
        if self.fold_normalize:
            mean, std = (np.array(values, np.float32)[:, None, None] for values in (network.mean, network.std))
            images = (images * std + mean) * np.float32(WHITE)
        return ordered(images, self.layout)

    def around(self, module: nn.Module, network: Preprocessing) -> nn.Module:
        """Return ``module`` with these ends: itself where there is nothing to add, else a `nn.Sequential` in eval mode.

        The mean is taken off in the input's own layout, ahead of every zero padding: what a convolution pads with is the zero of normalised
        values, not a black pixel, so the mean cannot be folded into a bias.
        """
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if self.fold_normalize:
            parts["normalize"] = Normalize(network, self.layout)
        if self.layout == "nhwc":
            parts["channels_first"] = ChannelsFirst()
        parts[NETWORK] = module
        if self.softmax:
            parts["softmax"] = nn.Softmax(dim=1)
        return module if len(parts) == 1 else nn.Sequential(parts).eval()


class Normalize(nn.Module):
    """Pixels from 0 to 255 to normalised values: minus the mean, times the inverse of the deviation, channel by channel."""

    offset: torch.Tensor
    scale: torch.Tensor

    def __init__(self, network: Preprocessing, layout: Layout) -> None:
        super().__init__()
        shape = (1, -1, 1, 1) if layout == "nchw" else (1, 1, 1, -1)
        mean, std = (torch.tensor(values, dtype=torch.float64).view(shape) for values in (network.mean, network.std))
        self.register_buffer("offset", (WHITE * mean).float())
        self.register_buffer("scale", (1 / (WHITE * std)).float())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the values, of the same shape."""
        return (pixels - self.offset) * self.scale


class ChannelsFirst(nn.Module):
    """(N, H, W, C) to (N, C, H, W)."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the same values, axes reordered."""
        return images.permute(0, 3, 1, 2)


PLAIN = Interface()
