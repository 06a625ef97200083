"""From a spec to a module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from edgewise.blocks.conv_norm import ConvNormAct, Norm
from edgewise.blocks.fused_ib import FusedIB
from edgewise.blocks.mqa import MQA, Projection
from edgewise.blocks.uib import UIB
from edgewise.errors import ConfigError
from edgewise.models import catalogue
from edgewise.models.features import feature_info
from edgewise.models.network import FeatureNetwork, Network
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, FusedIBSpec, MQASpec, Row, UIBSpec
from edgewise.spec.walk import Step, walk

BLOCKS: Mapping[type[Row], type[nn.Module]] = MappingProxyType(
    {ConvSpec: ConvNormAct, FusedIBSpec: FusedIB, UIBSpec: UIB, MQASpec: MQA}
)
_ACTIVATED = (ConvSpec, FusedIBSpec, UIBSpec)
_RESIDUAL = (FusedIBSpec, UIBSpec, MQASpec)
_LAYER_SCALED = (UIBSpec, MQASpec)


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: int | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: tuple[int, ...] | None = None,
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
    spec = catalogue.find(name).spec()
    changed = spec.model_dump() | {key: value for key, value in updates.items() if value is not None}
    return build(
        _revalidated(changed),
        drop_rate=drop_rate,
        drop_path_rate=drop_path_rate,
        features_only=features_only,
        out_indices=out_indices,
    )


def build(
    spec: ModelSpec,
    *,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: tuple[int, ...] | None = None,
) -> nn.Module:
    """Build the module of any spec; arguments as in `create_model`."""
    for field, rate in (("drop_rate", drop_rate), ("drop_path_rate", drop_path_rate)):
        if not 0.0 <= rate < 1.0:
            raise ConfigError(f"{field} is {rate}; must lie within 0 and 1 (1 itself not included)")
    if out_indices is not None and not features_only:
        raise ConfigError("out_indices needs features_only=True")
    steps = list(walk(spec))
    stages: list[list[nn.Module]] = [[] for _ in spec.stages]
    for index, step in enumerate(steps):
        # timm's schedule: the first block gets 0, the peak is never reached (TF counts stem and head too).
        stages[step.stage].append(_block(spec, step, drop_path_rate * index / len(steps)))
    network = Network(spec, stages, feature_info(spec), drop_rate=drop_rate)
    init_weights(network)
    return FeatureNetwork(network, out_indices) if features_only else network


def init_weights(model: nn.Module) -> None:
    """Draw fresh weights: convolutions normal with fan-out, attention projections Xavier uniform, classifier normal(0, 0.01).

    As timm, but for the classifier: timm's uniform(±1/sqrt(num_classes)) starts a 6-class network at a loss of 6 instead of
    ln 6; torchvision's 0.01 starts it where it should.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.01)
            nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, Projection):
            for child in module.children():
                if isinstance(child, nn.Conv2d):
                    nn.init.xavier_uniform_(child.weight)


def _block(spec: ModelSpec, step: Step, drop_path: float) -> nn.Module:
    row = step.row
    arguments: dict[str, object] = row.model_dump(exclude={"kind"})
    arguments |= {"in_chs": step.in_chs, "norm": Norm(spec.norm.eps, spec.norm.momentum)}
    if isinstance(row, _ACTIVATED):
        arguments["act"] = spec.act
    if isinstance(row, _RESIDUAL):
        arguments["drop_path"] = drop_path
    if isinstance(row, _LAYER_SCALED):
        arguments["layer_scale_init"] = spec.layer_scale_init
    return BLOCKS[type(row)](**arguments)


def _revalidated(fields: dict[str, object]) -> ModelSpec:
    from pydantic import ValidationError

    try:
        return ModelSpec.model_validate(fields)
    except ValidationError as error:
        detail = error.errors()[0]
        raise ConfigError(f"{detail['loc'][-1]}: {detail['msg']}, got {detail['input']!r}") from error
