"""Mobile-Former's head."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.channel_shuffle import make_shuffle
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.former import init_convs
from edgewise.blocks.linear import classifier_of
from edgewise.errors import InputError


class TokenHead(nn.Module):
    """1x1 to ``conv_chs``, norm, activation, mean of the map, h-swish; beside it the token; linear, norm, h-swish; dropout, linear.

    (N, in_chs, H, W), (N, d) to (N, num_classes), or to (N, hidden_chs) with ``num_classes`` 0. With ``groups`` above 1, the
    channels are shuffled before the 1x1 (26M). Source: the authors' released code; its state-dict keys.
    """

    def __init__(
        self,
        in_chs: int,
        token_dim: int,
        conv_chs: int,
        hidden_chs: int,
        num_classes: int,
        groups: int = 1,
        act: str = "relu6",
        *,
        norm: Norm | None = None,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        norm = norm or Norm()
        self.hidden_chs = hidden_chs
        self.conv = nn.Sequential(
            make_shuffle(groups), nn.Conv2d(in_chs, conv_chs, 1, groups=groups, bias=False), norm(conv_chs)
        )
        self.act = make_act(act, conv_chs)
        self.avgpool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Hardswish(), nn.Flatten(1))
        self.fc = nn.Sequential(
            nn.Linear(conv_chs + token_dim, hidden_chs),
            nn.BatchNorm1d(hidden_chs, eps=norm.eps, momentum=norm.momentum),
            nn.Hardswish(),
        )
        self.classifier = nn.Sequential(nn.Dropout(drop_rate), nn.Identity())
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        """Put a fresh linear layer to ``num_classes`` logits in place; 0 = none."""
        self.classifier[1] = classifier_of(self.hidden_chs, num_classes)

    def forward(self, x: torch.Tensor, token: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(N, in_chs, H, W), (N, d) -> (N, num_classes), or (N, hidden_chs) with ``pre_logits``."""
        pooled = self.avgpool(self.act(self.conv(x)))
        hidden: torch.Tensor = self.fc(self._checked(torch.cat((pooled, token), dim=1)))
        return hidden if pre_logits else self.classifier(hidden)

    def _checked(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and x.shape[0] == 1 and isinstance(self.fc[1], nn.BatchNorm1d):
            raise InputError(
                "the batch holds 1 image; this head's batch norm trains on 2 or more (leave out the last, smaller batch)"
            )
        return x

    def init_weights(self) -> None:
        """Draw the convolution as the authors do."""
        init_convs(self)
