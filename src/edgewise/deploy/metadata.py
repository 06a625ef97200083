"""The text that travels inside an exported file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata

from torch import nn

from edgewise.deploy.interface import PLAIN, Interface
from edgewise.records.artifact import Preprocessing


def describe(
    *,
    model_name: str,
    precision: str,
    labels: Sequence[str],
    preprocessing: Preprocessing,
    interface: Interface = PLAIN,
    source_sha256: str,
    origin: Mapping[str, str] | None = None,
    credits_: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return a file's metadata: plain text where one value is enough, JSON where not.

    Args:
        model_name: the catalogue's or the user's name.
        precision: as in ``int8``.
        labels: class names in the order of the logits; may be empty.
        preprocessing: how an image becomes the network's input.
        interface: of the file around the network; what it does by itself is left out of the preparation.
        source_sha256: of the weights before fusing.
        origin: what is known of the file that the weights were loaded from; its ``license`` wins over the default.
        credits_: more entries, such as ``author`` and ``license``; they win over the defaults.
    """
    recipe = interface.recipe(preprocessing)
    defaults = {
        "model": model_name,
        "task": "classification",
        "precision": precision,
        "names": json.dumps(list(labels), ensure_ascii=False),
        "preprocessing": recipe.model_dump_json(),
        "imgsz": json.dumps([recipe.img_size, recipe.img_size]),
        "mean": json.dumps(list(recipe.mean)),
        "std": json.dumps(list(recipe.std)),
        "layout": interface.layout,
        "values": interface.values,
        "output": interface.output,
        "source_sha256": source_sha256,
        "producer": "edgewise",
        "version": metadata.version("edgewise"),
        "author": "unspecified",
        "license": "unspecified",
    }
    return defaults | dict(origin or {}) | dict(credits_ or {})


def origin_of(model: nn.Module) -> dict[str, str]:
    """Return what ``model`` remembers of the file that its weights were loaded from; nothing where they are fresh."""
    sha256 = getattr(model, "weights_sha256", None)
    if not isinstance(sha256, str):
        return {}
    origin = {"weights_file_sha256": sha256, "weights_source": str(getattr(model, "weights_source", ""))}
    licence = getattr(getattr(model, "tag", None), "license", "")
    return origin | ({"license": licence} if licence else {})
