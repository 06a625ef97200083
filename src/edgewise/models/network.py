"""What every network has, whatever its parts are called: timm's surface, on top of a spec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Self

import torch
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.errors import ConfigError
from edgewise.models.described import Described
from edgewise.models.features import FeatureInfo, chosen, feature_info
from edgewise.models.layout import layout_of
from edgewise.models.trunk import TrunkOutput, check_images, run_trunk
from edgewise.records.artifact import Preprocessing
from edgewise.spec.model import ModelSpec


class Network(Described, ABC):
    """A classifier, (N, in_chans, H, W) to (N, num_classes). Built by `models.build.build`; `spec` is what it was built from.

    `num_features` is the width of `forward_features`, `head_hidden_size` that of the layer before the classifier.
    """

    head_names: tuple[str, ...]
    """Children that come behind the last feature map."""
    num_features: int
    head_hidden_size: int

    def __init__(self, spec: ModelSpec, *, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.spec = spec
        self.layout = layout_of(spec)
        self.feature_info: FeatureInfo = feature_info(spec, self.layout)
        self.num_classes = spec.num_classes
        self.in_chans = spec.in_chans
        self.drop_rate = drop_rate
        self.grad_checkpointing = False
        self.runs_channels_last = False
        """Whether images are laid out channels last on a CPU, where convolutions without norms between them then run faster."""
        self.preprocessing = Preprocessing.for_chans(spec.in_chans, spec.img_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chans, H, W) -> (N, num_classes) logits."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chans, H, W) -> (N, num_features, h, w); h and w are H/32 and W/32 for the published models."""
        return self._features(self._trunk(x))

    @abstractmethod
    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(N, num_features, h, w) -> (N, num_classes) logits, or (N, head_hidden_size) with ``pre_logits``."""

    def forward_intermediates(
        self, x: torch.Tensor, indices: Sequence[int] | int | None = None, intermediates_only: bool = False
    ) -> tuple[torch.Tensor, list[torch.Tensor]] | list[torch.Tensor]:
        """Return what `forward_features` does and the maps of `feature_info` at ``indices`` (all by default; an int = the last n)."""
        wanted = chosen(indices, len(self.feature_info))
        out = self._trunk(x, {self.feature_info[i]["stage"] for i in wanted})
        return out.maps if intermediates_only else (self._features(out), out.maps)

    def _trunk(self, x: torch.Tensor, taps: Collection[int] = ()) -> TrunkOutput:
        check_images(x, self.in_chans)
        # a captured program leaves layouts to its runtime
        if self.runs_channels_last and x.device.type == "cpu" and not torch.compiler.is_compiling():
            x = x.contiguous(memory_format=torch.channels_last)
        recompute = self.grad_checkpointing and self.training and torch.is_grad_enabled()
        return run_trunk(self, self.layout, x, taps, recompute=recompute)

    def _features(self, out: TrunkOutput) -> torch.Tensor:
        """Return what `forward_head` takes, made of what the trunk gave."""
        return out.last

    @abstractmethod
    def get_classifier(self) -> nn.Module:
        """Return the last linear layer, or an identity with `num_classes` 0."""

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier by a fresh one; 0 removes it, the model then returns (N, head_hidden_size).

        Raises:
            ConfigError: ``num_classes`` is negative, or ``global_pool`` is not the average pool that every model here has.
        """
        if not isinstance(num_classes, int) or num_classes < 0:
            raise ConfigError(f"num_classes is {num_classes!r}; must be an integer of 0 or more")
        if global_pool not in (None, "avg"):
            raise ConfigError(f"global_pool is {global_pool!r}; accepted: 'avg'")
        self.spec = self.spec.model_copy(update={"num_classes": num_classes})
        self.num_classes = num_classes
        old = next(self.parameters())
        self._set_classifier(num_classes)
        self.get_classifier().to(device=old.device, dtype=old.dtype)
        self.train(self.training)

    @abstractmethod
    def _set_classifier(self, num_classes: int) -> None:
        """Put a fresh classifier in place."""

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Trade time for memory in training: keep the maps between blocks only, and compute the others again for the backward pass."""
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return patterns that group parameter names from the stem upwards, for layer-wise learning rates, as timm's do."""
        stem = "|".join(self.layout.stem)
        return {
            "stem": rf"^(?:{stem}|tokens)",
            "blocks": rf"^{self.layout.stages}\.(\d+)" if coarse else rf"^{self.layout.stages}\.(\d+)(?:\.(\d+))?",
        }

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters, beside norms and biases, that weight decay should leave alone."""
        return {name for name, _ in self.named_parameters() if name.startswith("tokens")}

    def fuse(self) -> Self:
        """Return a copy for deployment, in eval mode: batch norms, branches and layer scales folded away; as `edgewise.fuse`."""
        return fuse(self)

    def reparameterize(self) -> Self:
        """Return what `fuse` does, under the name that the re-parameterisable families use."""
        return fuse(self)


class FeatureNetwork(Described):
    """The maps of a network at several strides, a list of (N, C_i, H/r_i, W/r_i); its keys are those of `Network` without head."""

    def __init__(self, network: Network, out_indices: Sequence[int] | None = None) -> None:
        super().__init__()
        wanted = chosen(out_indices, len(network.feature_info))
        self.spec = network.spec
        self.layout = network.layout
        self.in_chans = network.in_chans
        self.grad_checkpointing = False
        self.preprocessing = network.preprocessing
        self.feature_info = network.feature_info.select(wanted)
        self._taps = frozenset(entry["stage"] for entry in self.feature_info)
        for name, child in network.named_children():
            if name not in network.head_names:
                self.add_module(name, child)
        # Stages behind the last wanted map are not kept: nothing would use them.
        stages = getattr(self, self.layout.stages)
        setattr(self, self.layout.stages, stages[: max(self._taps) + 1])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, in_chans, H, W) -> one map for each entry of `feature_info`, finest first."""
        check_images(x, self.in_chans)
        recompute = self.grad_checkpointing and self.training and torch.is_grad_enabled()
        return run_trunk(self, self.layout, x, self._taps, recompute=recompute).maps

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """As `Network.set_grad_checkpointing`."""
        self.grad_checkpointing = enable
