"""The two forms of a network, for training and for deployment, as tables of names and shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from edgewise.blocks.fuse import fuse
from edgewise.models.build import build
from edgewise.spec.model import ModelSpec


def training_form(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the state, on the meta device, of the network of ``spec`` as it is built."""
    with torch.device("meta"):
        return build(spec).state_dict()


def deployed_form(spec: ModelSpec) -> dict[str, Tensor]:
    """Return the state, on the meta device, of the network of ``spec`` as `fuse` makes it."""
    with torch.device("meta"):
        return fuse(build(spec)).state_dict()
