"""A drawing cannot lie: its layers are those of the module that the same rows build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from torch import nn

from edgewise.blocks.channel_shuffle import ChannelShuffle
from edgewise.blocks.conv import SameConv2d
from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.fuse import fuse
from edgewise.blocks.layer_scale import LayerScale
from edgewise.blocks.pooling import BlurPool
from edgewise.models.build import BLOCKS, build, make_block
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.families.mobilenetv4 import CONV_SMALL
from edgewise.report.diagram.network import network_layers
from edgewise.report.diagram.parts import (
    Branches,
    ConvLayer,
    Lanes,
    Layer,
    LinearLayer,
    NormLayer,
    PlainLayer,
    Residual,
    layers_of,
)
from edgewise.report.diagram.pieces import Place
from edgewise.report.diagram.table import PARTS, parts_of
from edgewise.spec.former_rows import TokensSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import Row, SESpec
from edgewise.spec.rows import (
    AnyRow,
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
    StemSpec,
    UIBSpec,
)

PLAIN = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardswish: "hard_swish",
    nn.SiLU: "swish",
    nn.GELU: "gelu",
    nn.PReLU: "prelu",
    nn.Sigmoid: "sigmoid",
    nn.Hardsigmoid: "hard_sigmoid",
    nn.AvgPool2d: "avg",
    BlurPool: "blur",
    LayerScale: "layer_scale",
    ChannelShuffle: "shuffle",
}
UNDRAWN = (nn.Identity, nn.Dropout, nn.Flatten, nn.AdaptiveAvgPool2d, nn.Embedding, DropPath)
"""What a drawing need not show."""

IN_CHS = 16
BASE = CONV_SMALL
NETWORKS = {
    "plain": BASE,
    "gelu, layer scale": BASE.model_copy(update={"act": "gelu", "layer_scale_init": 1e-5}),
    "blur, dynamic": BASE.model_copy(update={"act": "dynamic_relu", "downsample": "blur"}),
    "mean, SAME": BASE.model_copy(update={"act": "hard_swish", "downsample": "avg", "padding": "same"}),
}
TOKENS = TokensSpec(num_tokens=3, token_dim=32, bridge_heads=2, former_heads=4, mlp_ratio=1.5, hyper_reduction=8)
ROWS = [
    ConvSpec(out_chs=24, kernel=3, stride=2),
    ConvSpec(out_chs=24, kernel=1, act="swish"),
    *(
        DepthwiseSeparableSpec(out_chs=chs, kernel=5, stride=stride, pw_act=pw_act, se=se)
        for chs, stride, pw_act, se in (
            (IN_CHS, 1, False, None),
            (24, 2, True, SESpec(ratio=0.5)),
            (IN_CHS, 1, True, SESpec(place="out", act="gelu")),
        )
    ),
    DepthwiseSeparableSpec(out_chs=IN_CHS, skip=False),
    InvertedResidualSpec(out_chs=IN_CHS, expand_ratio=3.3, se=SESpec(place="expand", gate="sigmoid")),
    InvertedResidualSpec(out_chs=24, stride=2, kernel=7, act="prelu", se=SESpec(divisor=1, ratio=0.1)),
    InvertedResidualSpec(out_chs=IN_CHS, skip=False, se=SESpec(place="out", round_limit=0)),
    FusedIBSpec(out_chs=IN_CHS, expand_ratio=2, se=SESpec()),
    FusedIBSpec(out_chs=24, stride=2, se=SESpec(place="out")),
    *(
        UIBSpec(out_chs=chs, stride=stride, start_kernel=start, mid_kernel=mid, se=se)
        for chs, stride, start, mid, se in (
            (IN_CHS, 1, 3, 5, SESpec(place="expand")),
            (24, 2, 5, 3, None),
            (24, 2, 3, None, SESpec()),
            (IN_CHS, 1, None, 7, SESpec(place="out")),
            (IN_CHS, 1, None, None, None),
        )
    ),
    UIBSpec(out_chs=IN_CHS, skip=False),
    MQASpec(num_heads=2, key_dim=8, value_dim=12),
    MQASpec(num_heads=4, key_dim=8, value_dim=8, kv_stride=2, kv_kernel=5, skip=False),
    MHSASpec(num_heads=2, key_dim=8, value_dim=4, kv_stride=2),
    RepVGGSpec(out_chs=IN_CHS),
    RepVGGSpec(out_chs=IN_CHS, groups=4, skip=False),
    RepVGGSpec(out_chs=32, stride=2, groups=2, se=SESpec(place="out")),
    MobileOneSpec(out_chs=IN_CHS, depthwise=True, num_branches=4),
    MobileOneSpec(out_chs=32, depthwise=True, stride=2, se=SESpec(place="out", gate="sigmoid")),
    MobileOneSpec(out_chs=24, kernel=1),
    MobileOneSpec(out_chs=IN_CHS, kernel=1, num_branches=2, skip=False),
    RepViTSpec(se=SESpec(place="out", round_limit=0)),
    RepViTSpec(kernel=5, legacy=True, expand_ratio=1.5, act="gelu"),
    RepViTDownSpec(out_chs=32, kernel=7),
    RepViTDownSpec(out_chs=32, legacy=True),
    RepViTStemSpec(out_chs=24),
    RepViTStemSpec(out_chs=24, stride=2),
    RepViTStemSpec(out_chs=24, stride=1),
    BneckLiteSpec(out_chs=IN_CHS, mid_chs=32),
    BneckLiteSpec(out_chs=24, mid_chs=32, stride=2, groups=4),
    FormerSpec(out_chs=IN_CHS, mid_chs=48),
    FormerSpec(out_chs=24, mid_chs=48, groups=4),
    FormerDownSpec(out_chs=32, mid_chs=48, second_mid_chs=64),
    FormerDownSpec(out_chs=32, mid_chs=48, second_mid_chs=64, groups=4),
    FormerUIBSpec(out_chs=IN_CHS, start_kernel=3, mid_kernel=5),
    FormerUIBSpec(out_chs=24, stride=2, start_kernel=5, mid_kernel=None),
    FormerUIBSpec(out_chs=24, start_kernel=None, mid_kernel=None),
]


def built_layers(module: nn.Module) -> list[Layer]:
    """What a module is made of, in the order in which its parts were assigned."""
    return [layer for part in module.modules() if not list(part.children()) for layer in layer_of(part)]


def layer_of(part: nn.Module) -> Iterator[Layer]:
    if isinstance(part, nn.Conv2d):
        kernel, stride = part.kernel_size[0], part.stride[0]
        assert isinstance(part, SameConv2d) or part.padding == (kernel // 2, kernel // 2)
        yield ConvLayer(part.in_channels, part.out_channels, kernel, stride, part.groups, part.bias is not None)
    elif isinstance(part, nn.Linear):
        assert part.bias is not None
        yield LinearLayer(part.in_features, part.out_features)
    elif isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
        yield NormLayer("batch", part.num_features)
    elif isinstance(part, nn.LayerNorm):
        yield NormLayer("layer", part.normalized_shape[0])
    elif not isinstance(part, UNDRAWN):
        yield PlainLayer(PLAIN[type(part)])


def executed_layers(block: nn.Module, *inputs: torch.Tensor) -> list[Layer]:
    """What a block runs, in the order in which it runs."""
    ran: list[Layer] = []
    for part in block.modules():
        if not list(part.children()):
            part.register_forward_hook(lambda part, *_: ran.extend(layer_of(part)))
    block(*inputs)
    return ran


def has_branches(drawing: object) -> bool:
    if isinstance(drawing, Branches):
        return True
    if isinstance(drawing, Lanes):
        return any(has_branches(node) for _, node in drawing.steps)
    nodes = drawing.chain if isinstance(drawing, Residual) else drawing
    return isinstance(nodes, tuple) and any(has_branches(node) for node in nodes)


def sums_its_input(drawing: object) -> bool:
    nodes = [node for _, node in drawing.steps] if isinstance(drawing, Lanes) else drawing
    return any(isinstance(node, Residual) for node in nodes)


def place(network: ModelSpec, *, fused: bool) -> Place:
    return Place(spec=network.model_copy(update={"tokens": TOKENS}), in_chs=IN_CHS, fused=fused)


def label(row: Row) -> str:
    return "-".join(str(value) for value in row.model_dump(exclude_defaults=True).values()) + f"-{row.kind}"


def test_every_kind_of_row_is_drawn_and_tried() -> None:
    kinds = {*get_args(AnyRow), *get_args(get_args(StemSpec)[0])}
    assert set(PARTS) == set(BLOCKS) == kinds == {type(row) for row in ROWS}


@pytest.mark.parametrize("fused", [False, True], ids=["training", "fused"])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("row", ROWS, ids=label)
def test_block(row: Row, network: ModelSpec, fused: bool) -> None:
    at = place(network, fused=fused)
    block = make_block(at.spec, row, IN_CHS).eval()
    drawing = parts_of(row, at)
    if hasattr(block, "has_skip"):
        assert sums_its_input(drawing) == block.has_skip
    if fused:
        block = fuse(block)
    assert Counter(layers_of(drawing)) == Counter(built_layers(block))
    inputs = [torch.rand(2, IN_CHS, 8, 8)]
    if isinstance(drawing, Lanes):
        inputs.append(torch.rand(2, TOKENS.num_tokens, TOKENS.token_dim))
    if not has_branches(drawing):
        assert list(layers_of(drawing)) == executed_layers(block, *inputs)


@pytest.mark.parametrize("fused", [False, True], ids=["training", "fused"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_network(name: str, fused: bool) -> None:
    spec = CATALOGUE[name].spec()
    with torch.device("meta"):
        network = build(spec)
    if fused:
        network = fuse(network)
    assert Counter(network_layers(spec, fused=fused)) == Counter(built_layers(network))
