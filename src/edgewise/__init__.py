"""Edgewise: from a folder of images and a latency budget to a verified, measured mobile vision model.

Importing this package loads nothing heavy; each name below is fetched when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "create_model": "edgewise.models.factory",
    "list_models": "edgewise.models.catalogue",
    "is_model": "edgewise.models.catalogue",
    "list_pretrained": "edgewise.models.pretrained",
    "create_transform": "edgewise.data.image_transform",
    "resolve_model_data_config": "edgewise.data.image_transform",
    "load_weights": "edgewise.models.weights",
    "convert_state_dict": "edgewise.models.foreign.convert",
    "fuse": "edgewise.blocks.fuse",
    "reparameterize_model": "edgewise.blocks.fuse",
    "count": "edgewise.cost.count",
    "export": "edgewise.deploy.export",
    "measure": "edgewise.bench.measure",
}

__all__ = [
    "__version__",
    "convert_state_dict",
    "count",
    "create_model",
    "create_transform",
    "export",
    "fuse",
    "is_model",
    "list_models",
    "list_pretrained",
    "load_weights",
    "measure",
    "reparameterize_model",
    "resolve_model_data_config",
]

if TYPE_CHECKING:
    from edgewise.bench.measure import measure
    from edgewise.blocks.fuse import fuse, reparameterize_model
    from edgewise.cost.count import count
    from edgewise.data.image_transform import create_transform, resolve_model_data_config
    from edgewise.deploy.export import export
    from edgewise.models.catalogue import is_model, list_models
    from edgewise.models.factory import create_model
    from edgewise.models.foreign.convert import convert_state_dict
    from edgewise.models.pretrained import list_pretrained
    from edgewise.models.weights import load_weights


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgewise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
