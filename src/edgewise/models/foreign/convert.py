"""Giving a model's weights back in a public layout."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgewise.errors import WeightsError, shown, unknown_name
from edgewise.models.foreign.layout import ForeignLayout, Renaming
from edgewise.models.foreign.table import FOREIGN_LAYOUTS
from edgewise.models.layout import FORMER
from edgewise.models.network import Network

ORIGINS = ("timm", "authors", "torchvision")


def convert_state_dict(model: nn.Module, layout: str) -> dict[str, Tensor]:
    """Return the weights of ``model`` under the names of a public layout, for ``load_state_dict`` of the network there.

    timm's names (for Mobile-Former its authors') are the model's own. Where batch norms have another eps in the layout, as in
    torchvision's MobileNetV3, their weights are rescaled so that the answers in eval mode stay the same.

    Args:
        model: of the catalogue or of a spec, in training form or fused.
        layout: ``timm``, ``authors`` (RepVGG, MobileOne, RepViT, Mobile-Former) or ``torchvision`` (MobileNetV2 and V3).

    Returns:
        Tensors that share the model's memory where nothing had to be computed.

    Raises:
        UnknownNameError: there is no such layout.
        WeightsError: networks of the kind of ``model`` do not exist in it, or not fused ones.
    """
    if not isinstance(model, Network):
        raise WeightsError(
            f"a {type(model).__name__} has no public layout; accepted: what create_model() builds, with its head"
        )
    if layout not in ORIGINS:
        raise unknown_name("layout", layout, ORIGINS)
    state = dict(model.state_dict())
    own = "authors" if model.layout is FORMER else "timm"
    if layout == own:
        return state
    renamings = {foreign: renaming for foreign in FOREIGN_LAYOUTS if (renaming := foreign.renaming(model.spec))}
    for foreign, renaming in renamings.items():
        if foreign.origin == layout:
            _check_form(model, foreign)
            _rescale_norms(model, state, foreign.norm.eps)
            return dict(_renamed(foreign, renaming, name, value) for name, value in state.items())
    accepted = ", ".join(map(repr, (own, *(foreign.origin for foreign in renamings))))
    raise WeightsError(f"{model.spec.name} has no form in the layout {layout!r}; accepted: {accepted}")


def _renamed(foreign: ForeignLayout, renaming: Renaming, name: str, value: Tensor) -> tuple[str, Tensor]:
    theirs = renaming.theirs(name)
    if theirs is None:
        raise WeightsError(f"{foreign.title} has nothing like {shown(name)}")
    return theirs, renaming.value_for_them(name, value)


def _check_form(model: Network, foreign: ForeignLayout) -> None:
    has_norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if not has_norms and not foreign.has_deployed_form:
        raise WeightsError(
            f"{model.spec.name} is fused, and {foreign.title} has no fused form; convert the model before fusing"
        )


def _rescale_norms(model: Network, state: dict[str, Tensor], eps: float) -> None:
    """Make the batch norms in ``state`` those that, with ``eps``, give the same answers with their running statistics."""
    for path, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.eps != eps:
            var = state[f"{path}.running_var"].double()
            weight = state[f"{path}.weight"]
            state[f"{path}.weight"] = (weight.double() * torch.sqrt((var + eps) / (var + module.eps))).to(weight.dtype)
