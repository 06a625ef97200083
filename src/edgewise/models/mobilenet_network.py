"""Networks with the names of timm's MobileNets: MobileNetV1 to V4, and everything built of their rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.linear import classifier_of
from edgewise.models.network import Network
from edgewise.models.trunk import TrunkOutput
from edgewise.spec.heads import ConvHeadSpec, PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec


class MobileNetwork(Network):
    """A stem convolution, stages, and one of three heads: as in MobileNetV1 (pool), V2 (1x1, pool), V3 and V4 (pool, 1x1)."""

    head_names = ("global_pool", "conv_head", "norm_head", "bn2", "act2", "flatten", "classifier")

    def __init__(self, spec: ModelSpec, stages: Sequence[nn.Module], *, drop_rate: float = 0.0) -> None:
        super().__init__(spec, drop_rate=drop_rate)
        stem, head = spec.stem, spec.head
        assert isinstance(stem, ConvSpec)
        assert isinstance(head, ConvHeadSpec | PoolHeadSpec)
        norm = Norm(spec.norm.eps, spec.norm.momentum)
        self.conv_stem = Conv(spec.padding)(spec.in_chans, stem.out_chs, stem.kernel, stem.stride)
        self.bn1 = norm(stem.out_chs)
        self.act1 = make_act(stem.act or spec.act, stem.out_chs)
        self.blocks = nn.Sequential(*stages)
        last_chs = self.feature_info.last_chs
        self.convolves_map = isinstance(head, ConvHeadSpec) and head.pool == "after"
        self.convolves_pooled = isinstance(head, ConvHeadSpec) and head.pool == "before"
        self.head_hidden_size = head.hidden_chs if isinstance(head, ConvHeadSpec) else last_chs
        self.num_features = self.head_hidden_size if self.convolves_map else last_chs
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        if isinstance(head, ConvHeadSpec):
            self.conv_head = nn.Conv2d(last_chs, head.hidden_chs, 1, bias=head.bias)
            # timm's names: bn2 behind V2's convolution of the map, norm_head behind V4's of the pooled one
            self._norm_name = "bn2" if self.convolves_map else "norm_head"
            self.add_module(self._norm_name, norm(head.hidden_chs) if head.norm else nn.Identity())
            self.act2 = make_act(spec.act, head.hidden_chs)
        self.flatten = nn.Flatten(1)
        self.classifier = classifier_of(self.head_hidden_size, spec.num_classes)

    def _features(self, out: TrunkOutput) -> torch.Tensor:
        return self._hidden(out.last) if self.convolves_map else out.last

    def _hidden(self, x: torch.Tensor) -> torch.Tensor:
        norm = self._modules[self._norm_name]
        assert norm is not None
        out: torch.Tensor = self.act2(norm(self.conv_head(x)))
        return out

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(N, num_features, h, w) -> (N, num_classes) logits, or (N, head_hidden_size) with ``pre_logits``."""
        x = self.global_pool(x)
        if self.convolves_pooled:
            x = self._hidden(x)
        x = self.flatten(x)
        if pre_logits:
            return x
        if self.drop_rate > 0.0:
            x = F.dropout(x, self.drop_rate, self.training)
        out: torch.Tensor = self.classifier(x)
        return out

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer, or an identity with `num_classes` 0."""
        return self.classifier

    def _set_classifier(self, num_classes: int) -> None:
        self.classifier = classifier_of(self.head_hidden_size, num_classes)
