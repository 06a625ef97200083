"""From a spec to a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import chain
from types import MappingProxyType
from typing import Any

from torch import nn

from edgewise.blocks.attention import MHSA, MQA
from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import ConvNormAct, Norm
from edgewise.blocks.depthwise_separable import DepthwiseSeparable
from edgewise.blocks.former import BneckLite, FormerBlock, FormerDown
from edgewise.blocks.former_bridge import Tokens
from edgewise.blocks.former_uib import FormerUIB
from edgewise.blocks.fused_ib import FusedIB
from edgewise.blocks.inverted_residual import InvertedResidual
from edgewise.blocks.mobileone import MobileOne
from edgewise.blocks.repvgg import RepVGG
from edgewise.blocks.repvit import RepViT, RepViTDown, RepViTStem
from edgewise.blocks.squeeze_excite import SE
from edgewise.blocks.uib import UIB
from edgewise.errors import ConfigError
from edgewise.models.former_network import FormerNetwork
from edgewise.models.init_weights import init_weights
from edgewise.models.layout import FORMER, MOBILENET, layout_of
from edgewise.models.mobilenet_network import MobileNetwork
from edgewise.models.network import FeatureNetwork, Network
from edgewise.models.staged_network import StagedNetwork
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row
from edgewise.spec.rows import (
    BneckLiteSpec,
    ConvSpec,
    DepthwiseSeparableSpec,
    FormerDownSpec,
    FormerSpec,
    FormerUIBSpec,
    FusedIBSpec,
    InvertedResidualSpec,
    MHSASpec,
    MobileOneSpec,
    MQASpec,
    RepVGGSpec,
    RepViTDownSpec,
    RepViTSpec,
    RepViTStemSpec,
    UIBSpec,
)
from edgewise.spec.walk import walk

BLOCKS: Mapping[type[Row], type[nn.Module]] = MappingProxyType(
    {
        ConvSpec: ConvNormAct,
        DepthwiseSeparableSpec: DepthwiseSeparable,
        InvertedResidualSpec: InvertedResidual,
        FusedIBSpec: FusedIB,
        UIBSpec: UIB,
        MQASpec: MQA,
        MHSASpec: MHSA,
        RepVGGSpec: RepVGG,
        MobileOneSpec: MobileOne,
        RepViTStemSpec: RepViTStem,
        RepViTSpec: RepViT,
        RepViTDownSpec: RepViTDown,
        BneckLiteSpec: BneckLite,
        FormerSpec: FormerBlock,
        FormerDownSpec: FormerDown,
        FormerUIBSpec: FormerUIB,
    }
)
"""Which block a row builds; its constructor takes the row's fields by name, and of `_context` what it has parameters for."""


def build(
    spec: ModelSpec,
    *,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> nn.Module:
    """Build the module of any spec, with fresh weights from torch's global generator.

    Args:
        spec: rows of any family or of yours.
        drop_rate: dropout before the classifier, 0 <= rate < 1.
        drop_path_rate: stochastic depth, rising linearly from 0 at the first block towards this rate, 0 <= rate < 1.
        features_only: return a pyramid backbone, whose forward gives a list of maps, instead of a classifier.
        out_indices: which maps, finest first; all by default. Only with ``features_only``.

    Raises:
        ConfigError: an argument is out of range.
    """
    for field, rate in (("drop_rate", drop_rate), ("drop_path_rate", drop_path_rate)):
        if not 0.0 <= rate < 1.0:
            raise ConfigError(f"{field} is {rate}; must lie within 0 and 1 (1 itself not included)")
    if out_indices is not None and not features_only:
        raise ConfigError("out_indices needs features_only=True")
    network = _network(spec, _blocks(spec, drop_path_rate), drop_rate)
    init_weights(network)
    return FeatureNetwork(network, out_indices) if features_only else network


def _blocks(spec: ModelSpec, drop_path_rate: float) -> list[list[nn.Module]]:
    steps = list(walk(spec))
    stages: list[list[nn.Module]] = [[] for _ in spec.stages]
    for index, step in enumerate(steps):
        # timm's schedule: the first block gets 0, the peak is never reached (TF counts stem and head too).
        stages[step.stage].append(make_block(spec, step.row, step.in_chs, drop_path_rate * index / len(steps)))
    return stages


def _network(spec: ModelSpec, stages: list[list[nn.Module]], drop_rate: float) -> Network:
    layout = layout_of(spec)
    if layout is MOBILENET:
        return MobileNetwork(spec, [nn.Sequential(*blocks) for blocks in stages], drop_rate=drop_rate)
    tokens = _tokens(spec)
    if layout is FORMER and tokens is not None:
        return FormerNetwork(spec, list(chain.from_iterable(stages)), tokens, drop_rate=drop_rate)
    return StagedNetwork(spec, make_block(spec, spec.stem, spec.in_chans), stages, drop_rate=drop_rate)


def make_block(spec: ModelSpec, row: Row, in_chs: int, drop_path: float = 0.0) -> nn.Module:
    """Make the block of one ``row`` for ``in_chs`` input channels inside the network of ``spec``."""
    block = BLOCKS[type(row)]
    arguments: dict[str, Any] = {name: getattr(row, name) for name in type(row).model_fields if name != "kind"}
    if "act" in arguments:
        arguments["act"] = arguments["act"] or spec.act
    if arguments.get("se") is not None:
        arguments["se"] = SE(**{field.name: getattr(arguments["se"], field.name) for field in fields(SE)})
    takes = block.__init__.__annotations__
    arguments |= {name: value for name, value in _context(spec, drop_path).items() if name in takes}
    return block(in_chs, **arguments)


def _context(spec: ModelSpec, drop_path: float) -> dict[str, Any]:
    """Return what the whole network decides for its blocks."""
    return {
        "conv": Conv(spec.padding),
        "norm": Norm(spec.norm.eps, spec.norm.momentum),
        "downsample": spec.downsample,
        "layer_scale_init": spec.layer_scale_init,
        "tokens": _tokens(spec),
        "drop_path": drop_path,
    }


def _tokens(spec: ModelSpec) -> Tokens | None:
    if spec.tokens is None:
        return None
    return Tokens(**{field.name: getattr(spec.tokens, field.name) for field in fields(Tokens)})
