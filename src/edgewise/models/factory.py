"""`create_model`: from a name to a module, with or without published weights."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from torch import nn

from edgewise.errors import ConfigError
from edgewise.models import catalogue
from edgewise.models.build import build
from edgewise.spec.faults import describe
from edgewise.spec.model import ModelSpec


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: int | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> nn.Module:
    """Build a model of the catalogue by name, with fresh weights from torch's global generator.

    Args:
        name: as `list_models` shows it.
        num_classes: of the classifier; 0 = none, the model returns (N, head_hidden_size).
        in_chans: channels of the input.
        img_size: the side that its pretrained_cfg states; layers do not depend on it.
        drop_rate: dropout before the classifier, 0 <= rate < 1.
        drop_path_rate: stochastic depth, rising linearly from 0 at the first block towards this rate, 0 <= rate < 1.
        features_only: return a pyramid backbone, whose forward gives a list of maps, instead of a classifier.
        out_indices: which maps, finest first; all by default. Only with ``features_only``.

    Raises:
        UnknownNameError: no such model.
        ConfigError: an argument out of range.
    """
    updates = {"num_classes": num_classes, "in_chans": in_chans, "img_size": img_size}
    spec = with_fields(catalogue.find(name).spec(), **updates)
    return build(
        spec,
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
        features_only=features_only,
        out_indices=out_indices,
    )


def with_fields(spec: ModelSpec, **fields: object) -> ModelSpec:
    """Return ``spec`` with those of ``fields`` that are not None.

    Raises:
        ConfigError: a value is out of range.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if not given:
        return spec
    try:
        return ModelSpec.model_validate(dict(spec) | given)
    except ValidationError as error:
        raise ConfigError(describe(error)) from error
