"""Squeeze-and-excitation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.spec.scale import make_divisible


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate of the map's mean. (N, C, H, W) to (N, C, H, W). State-dict keys as in timm's MobileNetV3.

    Source: Hu et al. 2018, arXiv 1709.01507; hard gate: MobileNetV3, arXiv 1905.02244, section 5.2 (relu6(x + 3) / 6).
    """

    def __init__(self, num_chs: int, reduced_chs: int, act: str = "relu", gate: str = "sigmoid") -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(num_chs, reduced_chs, 1)
        self.act1 = make_act(act, reduced_chs)
        self.conv_expand = nn.Conv2d(reduced_chs, num_chs, 1)
        self.gate = _gate(gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        squeezed = x.mean((2, 3), keepdim=True)
        gate: torch.Tensor = self.gate(self.conv_expand(self.act1(self.conv_reduce(squeezed))))
        return x * gate


class SEModule(nn.Module):
    """The same function under the state-dict keys of timm's RepViT, MobileOne and RepVGG."""

    def __init__(self, num_chs: int, reduced_chs: int, act: str = "relu", gate: str = "sigmoid") -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(num_chs, reduced_chs, 1)
        self.act = make_act(act, reduced_chs)
        self.fc2 = nn.Conv2d(reduced_chs, num_chs, 1)
        self.gate = _gate(gate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        gate: torch.Tensor = self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))
        return x * gate


@dataclass(frozen=True, slots=True)
class SE:
    """Squeeze-and-excitation's settings; the fields are those of `spec.row.SESpec`."""

    ratio: float = 0.25
    divisor: int = 8
    round_limit: float = 0.9
    act: str = "relu"
    gate: str = "hard_sigmoid"
    place: str = "mid"

    def reduced_chs(self, num_chs: int) -> int:
        """Return the squeezed width for ``num_chs`` channels."""
        return make_divisible(num_chs * self.ratio, self.divisor, self.round_limit)


def make_se(se: SE | None, place: str, num_chs: int) -> nn.Module:
    """Make the squeeze-and-excitation that ``se`` puts at ``place``, an identity where it puts none."""
    if se is None or se.place != place:
        return nn.Identity()
    return SqueezeExcite(num_chs, se.reduced_chs(num_chs), se.act, se.gate)


def make_se_module(se: SE, num_chs: int) -> nn.Module:
    """Make the squeeze-and-excitation of a row that has one place for it."""
    return SEModule(num_chs, se.reduced_chs(num_chs), se.act, se.gate)


def _gate(name: str) -> nn.Module:
    return nn.Hardsigmoid() if name == "hard_sigmoid" else nn.Sigmoid()
