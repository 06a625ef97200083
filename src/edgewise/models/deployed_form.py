"""The two forms of a network, for training and for deployment, as tables of names and shapes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgewise.blocks.fuse import fuse
from edgewise.models.build import build
from edgewise.spec.model import ModelSpec

FORM = "edgewise.form"
"""Metadata of a safetensors file: `FUSED` where its weights are those of the fused network; absent for the training form."""
FUSED = "fused"


def training_form(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the state, on the meta device, of the network of ``spec`` as it is built."""
    with torch.device("meta"):
        return build(spec).state_dict()


def deployed_form(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the state, on the meta device, of the network of ``spec`` as `fuse` makes it."""
    with torch.device("meta"):
        return fuse(build(spec)).state_dict()


def network_of(spec: ModelSpec, metadata: Mapping[str, str]) -> nn.Module:
    """Return the network of ``spec``, fresh, in the form that a weights file with ``metadata`` holds."""
    network = build(spec)
    return fuse(network) if metadata.get(FORM) == FUSED else network
