"""Networks with the names of timm's RepVGG, MobileOne and RepViT, and everything built of their rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.fold import linear_with_weights, weights_behind_norm
from edgewise.blocks.linear import classifier_of
from edgewise.blocks.repvit import RepViTDown
from edgewise.errors import ConfigError
from edgewise.models.init_weights import init_weights
from edgewise.models.network import Network
from edgewise.spec.heads import NormLinearHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import RepViTStemSpec


class StagedNetwork(Network):
    """A stem, stages, the global average pool and one of two heads: linear (RepVGG, MobileOne), or norm and linear (RepViT)."""

    head_names = ("head",)

    def __init__(
        self, spec: ModelSpec, stem: nn.Module, stages: Sequence[Sequence[nn.Module]], *, drop_rate: float = 0.0
    ) -> None:
        super().__init__(spec, drop_rate=drop_rate)
        self.stem = stem
        stage = _repvit_stage if self._has_repvit_names else nn.Sequential
        self.stages = nn.Sequential(*(stage(*blocks) for blocks in stages))
        self.num_features = self.head_hidden_size = self.feature_info.last_chs
        self.head = self._make_head()

    @property
    def _has_repvit_names(self) -> bool:
        return isinstance(self.spec.stem, RepViTStemSpec)

    def _make_head(self) -> nn.Module:
        spec = self.spec.head
        if isinstance(spec, NormLinearHeadSpec):
            norm = Norm(self.spec.norm.eps, self.spec.norm.momentum)
            return NormLinearHead(self.num_features, self.num_classes, distilled=spec.distilled, norm=norm)
        return LinearHead(self.num_features, self.num_classes)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(N, num_features, h, w) -> (N, num_classes) logits, or (N, head_hidden_size) with ``pre_logits``.

        While training after `set_distilled_training`, a pair of logits.
        """
        x = x.mean((2, 3))
        if pre_logits:
            return x
        if self.drop_rate > 0.0:
            x = F.dropout(x, self.drop_rate, self.training)
        out: torch.Tensor = self.head(x)
        return out

    def set_distilled_training(self, enable: bool = True) -> None:
        """Let `forward` return both heads' logits while training, the second ones for the teacher's labels; else their mean.

        Raises:
            ConfigError: the network has one head: it was made so, or it is fused.
        """
        if not isinstance(self.head, NormLinearHead) or self.head.head_dist is None:
            raise ConfigError(
                f"{self.spec.name} has one head; distilled training needs head.distilled=True, and not fused"
            )
        self.head.distilled_training = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return patterns that group parameter names from the stem upwards, for layer-wise learning rates, as timm's do."""
        blocks: str | list[tuple[str, tuple[int] | None]] = r"^stages\.(\d+)\.(\d+)"
        if coarse:
            blocks = r"^stages\.(\d+)"
        elif self._has_repvit_names:
            blocks = [(r"^stages\.(\d+)\.downsample", (0,)), (r"^stages\.(\d+)\.blocks\.(\d+)", None)]
        return {"stem": r"^stem", "blocks": blocks}

    def get_classifier(self) -> nn.Module:
        """Return the linear layer, or for RepViT the whole head, as timm does; an identity or a head of them with `num_classes` 0."""
        return self.head.fc if isinstance(self.head, LinearHead) else self.head

    def _set_classifier(self, num_classes: int) -> None:
        norm_is_folded = not isinstance(self.head, LinearHead | NormLinearHead)
        self.head = classifier_of(self.num_features, num_classes) if norm_is_folded else self._make_head()
        init_weights(self.head)


class LinearHead(nn.Module):
    """A linear layer under timm's name, ``fc``. (N, C) to (N, num_classes)."""

    def __init__(self, num_chs: int, num_classes: int) -> None:
        super().__init__()
        self.fc = classifier_of(num_chs, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> (N, num_classes)."""
        out: torch.Tensor = self.fc(x)
        return out


class NormLinear(nn.Module):
    """``bn`` and the linear layer ``l``. (N, C) to (N, num_classes)."""

    def __init__(self, num_chs: int, num_classes: int, norm: Norm) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(num_chs, norm.eps, norm.momentum)
        self.l = nn.Linear(num_chs, num_classes)

    def init_weights(self) -> None:
        """Draw from a normal distribution with deviation 0.02, cut at ±2, as the authors do."""
        nn.init.trunc_normal_(self.l.weight, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) -> (N, num_classes)."""
        out: torch.Tensor = self.l(self.bn(x))
        return out


class NormLinearHead(nn.Module):
    """RepViT's head: one classifier ``head``, or a second one ``head_dist`` beside it for a teacher's labels. (N, C) to (N, num_classes).

    With two, the logits are their mean; while training with ``distilled_training`` set, they come as a pair.
    """

    def __init__(self, num_chs: int, num_classes: int, *, distilled: bool, norm: Norm) -> None:
        super().__init__()

        def classifier() -> nn.Module:
            return NormLinear(num_chs, num_classes, norm) if num_classes > 0 else nn.Identity()

        self.head = classifier()
        self.head_dist = classifier() if distilled else None
        self.distilled_training = False

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, C) -> (N, num_classes), or two of them."""
        logits: torch.Tensor = self.head(x)
        if self.head_dist is None:
            return logits
        distilled: torch.Tensor = self.head_dist(x)
        return (logits, distilled) if self.training and self.distilled_training else (logits + distilled) / 2

    def fused(self) -> nn.Module:
        """Return one linear layer; an identity where there are no classes."""
        parts = [part for part in (self.head, self.head_dist) if isinstance(part, NormLinear)]
        if not parts:
            return nn.Identity()
        weights, biases = zip(*(weights_behind_norm(part.bn, part.l) for part in parts), strict=True)
        return linear_with_weights(parts[0].l, torch.stack(weights).mean(0), torch.stack(biases).mean(0))


def _repvit_stage(*blocks: nn.Module) -> nn.Sequential:
    """Return timm's RepViT stage: ``downsample``, where the stage begins with one, and ``blocks``."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if isinstance(blocks[0], RepViTDown):
        parts["downsample"], blocks = blocks[0], blocks[1:]
    parts["blocks"] = nn.Sequential(*blocks)
    return nn.Sequential(parts)
