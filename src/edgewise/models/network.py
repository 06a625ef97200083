"""The network that a spec builds: stem, stages, head, with timm's surface and state-dict keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import nn

from edgewise.blocks.activations import ACTIVATIONS
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.fuse import fuse
from edgewise.errors import ConfigError
from edgewise.models.features import FeatureInfo, chosen
from edgewise.records.artifact import Preprocessing
from edgewise.spec.model import ModelSpec


class Network(nn.Module):
    """A classifier, (N, in_chans, H, W) to (N, num_classes).

    Built by `models.build.build`; `spec` is what it was built from. `num_features` is the width of the pooled map,
    `head_hidden_size` that of the layer before the classifier.
    """

    def __init__(
        self,
        spec: ModelSpec,
        stages: Sequence[Sequence[nn.Module]],
        feature_info: FeatureInfo,
        *,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.feature_info = feature_info
        self.num_classes = spec.num_classes
        self.in_chans = spec.in_chans
        self.num_features = feature_info.last_chs
        self.head_hidden_size = spec.head.hidden_chs
        self.drop_rate = drop_rate
        norm = Norm(spec.norm.eps, spec.norm.momentum)
        stem = spec.stem
        self.conv_stem = nn.Conv2d(spec.in_chans, stem.out_chs, stem.kernel, stem.stride, stem.kernel // 2, bias=False)
        self.bn1 = norm(stem.out_chs)
        self.act1 = ACTIVATIONS[spec.act]()
        self.blocks = nn.Sequential(*(nn.Sequential(*blocks) for blocks in stages))
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_head = nn.Conv2d(self.num_features, self.head_hidden_size, 1, bias=False)
        self.norm_head = norm(self.head_hidden_size)
        self.act2 = ACTIVATIONS[spec.act]()
        self.flatten = nn.Flatten(1)
        self.classifier = _classifier(self.head_hidden_size, spec.num_classes)

    @property
    def pretrained_cfg(self) -> dict[str, object]:
        """Return how to prepare images for this model, under timm's names."""
        recipe = Preprocessing(img_size=self.spec.img_size)
        return {
            "architecture": self.spec.name,
            "input_size": (self.in_chans, recipe.img_size, recipe.img_size),
            "crop_pct": recipe.crop_pct,
            "interpolation": recipe.interpolation,
            "mean": recipe.mean,
            "std": recipe.std,
            "num_classes": self.num_classes,
            "first_conv": "conv_stem",
            "classifier": "classifier",
        }

    default_cfg = pretrained_cfg

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chans, H, W) -> (N, num_classes) logits."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chans, H, W) -> (N, num_features, H/32, W/32) for the published models."""
        out: torch.Tensor = self.blocks(self.act1(self.bn1(self.conv_stem(x))))
        return out

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(N, num_features, h, w) -> (N, num_classes) logits, or (N, head_hidden_size) with ``pre_logits``."""
        x = self.flatten(self.act2(self.norm_head(self.conv_head(self.global_pool(x)))))
        if pre_logits:
            return x
        if self.drop_rate > 0.0:
            x = F.dropout(x, self.drop_rate, self.training)
        out: torch.Tensor = self.classifier(x)
        return out

    def forward_intermediates(
        self, x: torch.Tensor, indices: Sequence[int] | int | None = None, intermediates_only: bool = False
    ) -> tuple[torch.Tensor, list[torch.Tensor]] | list[torch.Tensor]:
        """Return the last map and the maps of `feature_info` at ``indices`` (all by default; an int means the last n)."""
        wanted = chosen(indices, len(self.feature_info))
        maps: list[torch.Tensor] = []
        x = self.act1(self.bn1(self.conv_stem(x)))
        taps = {self.feature_info[i]["stage"]: i for i in wanted}
        if -1 in taps:
            maps.append(x)
        for stage, blocks in enumerate(self.blocks):
            x = blocks(x)
            if stage in taps:
                maps.append(x)
        return maps if intermediates_only else (x, maps)

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer, or an identity with `num_classes` 0."""
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a fresh one; 0 removes it, the model then returns (N, head_hidden_size)."""
        self.spec = self.spec.model_copy(update={"num_classes": _checked_classes(num_classes)})
        self.num_classes = num_classes
        old = next(self.parameters())
        self.classifier = _classifier(self.head_hidden_size, num_classes).to(device=old.device, dtype=old.dtype)

    def fuse(self) -> Self:
        """Return a copy for deployment, in eval mode: batch norms and layer scales folded away."""
        return fuse(self)


class FeatureNetwork(nn.Module):
    """The maps of a network at several strides, a list of (N, C_i, H/r_i, W/r_i); its keys are those of `Network` without head."""

    def __init__(self, network: Network, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        wanted = chosen(out_indices, len(network.feature_info))
        self.spec = network.spec
        self.feature_info = network.feature_info.select(wanted)
        self.conv_stem = network.conv_stem
        self.bn1 = network.bn1
        self.act1 = network.act1
        self._taps = {int(info["stage"]) for info in self.feature_info}
        # Stages behind the last wanted map are not kept: nothing would use them.
        self.blocks = network.blocks[: max(self._taps) + 1]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, in_chans, H, W) -> one map for each entry of `feature_info`, finest first."""
        x = self.act1(self.bn1(self.conv_stem(x)))
        maps = [x] if -1 in self._taps else []
        for stage, blocks in enumerate(self.blocks):
            x = blocks(x)
            if stage in self._taps:
                maps.append(x)
        return maps


def _classifier(in_features: int, num_classes: int) -> nn.Module:
    return nn.Linear(in_features, num_classes) if num_classes > 0 else nn.Identity()


def _checked_classes(num_classes: int) -> int:
    if not isinstance(num_classes, int) or num_classes < 0:
        raise ConfigError(f"num_classes is {num_classes!r}; must be an integer of 0 or more")
    return num_classes
