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
    "load_weights": "edgewise.models.weights",
    "fuse": "edgewise.blocks.fuse",
    "count": "edgewise.cost.count",
    "export": "edgewise.deploy.export",
    "measure": "edgewise.bench.measure",
}

__all__ = ["__version__", "count", "create_model", "export", "fuse", "list_models", "load_weights", "measure"]

if TYPE_CHECKING:
    from edgewise.bench.measure import measure
    from edgewise.blocks.fuse import fuse
    from edgewise.cost.count import count
    from edgewise.deploy.export import export
    from edgewise.models.catalogue import list_models
    from edgewise.models.factory import create_model
    from edgewise.models.weights import load_weights


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgewise' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
