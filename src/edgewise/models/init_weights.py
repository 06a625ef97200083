"""Fresh weights."""

from __future__ import annotations

import math

from torch import nn

from edgewise.blocks.attention import Projection


def init_weights(model: nn.Module) -> None:
    """Draw fresh weights in place.

    Convolutions are normal with fan-out, attention projections Xavier uniform, linear layers normal(0, 0.01), embeddings
    normal(0, 1). As timm, but for the classifier: timm's uniform(±1/sqrt(num_classes)) starts a 6-class network at a loss of 6 instead of
    ln 6; torchvision's 0.01 starts it where it should. A module with `init_weights` of its own has the last word. On the meta
    device there is nothing to draw.
    """
    if all(parameter.is_meta for parameter in model.parameters()):
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
    for module in model.modules():
        if isinstance(module, Projection):
            for child in module.children():
                if isinstance(child, nn.Conv2d):
                    nn.init.xavier_uniform_(child.weight)
        elif callable(own := getattr(module, "init_weights", None)):
            own()
