"""All named recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from edgewise.errors import unknown_name
from edgewise.train.config import TrainConfig
from edgewise.train.recipes import mobilenetv4

RECIPES: Mapping[str, Callable[[], TrainConfig]] = MappingProxyType(
    {
        "mobilenetv4_conv_small_paper": mobilenetv4.conv_small,
        "mobilenetv4_conv_medium_paper": mobilenetv4.conv_medium,
        "mobilenetv4_hybrid_medium_paper": mobilenetv4.hybrid_medium,
        "mobilenetv4_conv_large_paper": mobilenetv4.conv_large,
        "mobilenetv4_hybrid_large_paper": mobilenetv4.hybrid_large,
    }
)


def find_recipe(name: str) -> TrainConfig:
    """Return the settings of a named recipe.

    Raises:
        UnknownNameError: no such recipe.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]()
