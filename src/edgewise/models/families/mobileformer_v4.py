"""Mobile-Former on MobileNetV4: tokens and bridges (arXiv 2108.05895) around universal inverted bottlenecks (arXiv 2404.10518).

Ours, published nowhere else. The trunks keep to MobileNetV4's principles: few and dense convolutions where the map is large, 5x5 and
3x3 depthwise pairs where its resolution changes, then a mix of the UIB's forms, wider as the map shrinks (its Tables 11 and 12). As in
Mobile-Former, tokens come in where depthwise convolutions begin, and their number and width grow with the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.spec.former_rows import FormerUIBSpec, TokensSpec
from edgewise.spec.heads import TokenHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, FusedIBSpec


def extra_dw(out_chs: int, *, start: int, mid: int, expand: float, stride: int = 1) -> FormerUIBSpec:
    """Return the form with both depthwise convolutions."""
    return FormerUIBSpec.model_validate(
        {"out_chs": out_chs, "start_kernel": start, "mid_kernel": mid, "expand_ratio": expand, "stride": stride}
    )


def ib(out_chs: int, *, mid: int, expand: float) -> FormerUIBSpec:
    """Return the form of the inverted bottleneck: middle depthwise only."""
    return FormerUIBSpec.model_validate({"out_chs": out_chs, "mid_kernel": mid, "expand_ratio": expand})


def convnext(out_chs: int, *, start: int, expand: float) -> FormerUIBSpec:
    """Return the form after ConvNext: start depthwise only."""
    return FormerUIBSpec.model_validate(
        {"out_chs": out_chs, "start_kernel": start, "mid_kernel": None, "expand_ratio": expand}
    )


def ffn(out_chs: int, *, expand: float) -> FormerUIBSpec:
    """Return the form of a feed-forward network: no depthwise."""
    return FormerUIBSpec(out_chs=out_chs, mid_kernel=None, expand_ratio=expand)


MODEL_100M = ModelSpec(
    name="mobileformer_v4_100m",
    stem=ConvSpec(out_chs=16, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112 -> 56
        (ConvSpec(out_chs=24, kernel=3, stride=2), ConvSpec(out_chs=24, kernel=1)),
        # stage 1: 56 -> 28
        (ConvSpec(out_chs=48, kernel=3, stride=2), ConvSpec(out_chs=40, kernel=1)),
        # stage 2: 28 -> 14
        (
            extra_dw(72, start=5, mid=5, stride=2, expand=3),
            ib(72, mid=3, expand=2),
            ib(72, mid=3, expand=2),
            ib(72, mid=3, expand=2),
            convnext(72, start=3, expand=4),
        ),
        # stage 3: 14 -> 7
        (
            extra_dw(112, start=3, mid=3, stride=2, expand=6),
            extra_dw(112, start=5, mid=5, expand=4),
            ib(112, mid=5, expand=4),
            ib(112, mid=3, expand=4),
            ib(112, mid=3, expand=4),
        ),
    ),
    tokens=TokensSpec(num_tokens=4, token_dim=128),
    head=TokenHeadSpec(conv_chs=768, hidden_chs=1280),
)

MODEL_200M = ModelSpec(
    name="mobileformer_v4_200m",
    stem=ConvSpec(out_chs=24, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112 -> 56
        (ConvSpec(out_chs=32, kernel=3, stride=2), ConvSpec(out_chs=32, kernel=1)),
        # stage 1: 56 -> 28
        (ConvSpec(out_chs=80, kernel=3, stride=2), ConvSpec(out_chs=56, kernel=1)),
        # stage 2: 28 -> 14
        (
            extra_dw(96, start=5, mid=5, stride=2, expand=3),
            ib(96, mid=3, expand=2),
            ib(96, mid=3, expand=2),
            ib(96, mid=3, expand=2),
            ib(96, mid=3, expand=2),
            convnext(96, start=3, expand=4),
        ),
        # stage 3: 14 -> 7
        (
            extra_dw(128, start=3, mid=3, stride=2, expand=6),
            extra_dw(128, start=5, mid=5, expand=4),
            ib(128, mid=5, expand=4),
            ib(128, mid=5, expand=3),
            ib(128, mid=3, expand=4),
            ib(128, mid=3, expand=4),
        ),
    ),
    tokens=TokensSpec(num_tokens=6, token_dim=192),
    head=TokenHeadSpec(conv_chs=960, hidden_chs=1600),
)

MODEL_500M = ModelSpec(
    name="mobileformer_v4_500m",
    stem=ConvSpec(out_chs=24, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112 -> 56
        (FusedIBSpec(out_chs=40, kernel=3, stride=2, expand_ratio=4),),
        # stage 1: 56 -> 28
        (
            extra_dw(64, start=3, mid=5, stride=2, expand=4),
            extra_dw(64, start=3, mid=3, expand=2),
        ),
        # stage 2: 28 -> 14
        (
            extra_dw(128, start=3, mid=5, stride=2, expand=6),
            extra_dw(128, start=3, mid=3, expand=4),
            extra_dw(128, start=3, mid=5, expand=4),
            extra_dw(128, start=3, mid=3, expand=4),
            convnext(128, start=3, expand=4),
            ffn(128, expand=2),
            convnext(128, start=3, expand=4),
        ),
        # stage 3: 14 -> 7
        (
            extra_dw(192, start=5, mid=5, stride=2, expand=6),
            extra_dw(192, start=5, mid=5, expand=4),
            extra_dw(192, start=3, mid=5, expand=4),
            ffn(192, expand=4),
            convnext(192, start=3, expand=4),
            extra_dw(192, start=5, mid=5, expand=4),
            ffn(192, expand=4),
            convnext(192, start=5, expand=2),
        ),
    ),
    tokens=TokensSpec(num_tokens=6, token_dim=192),
    head=TokenHeadSpec(conv_chs=1152, hidden_chs=1920),
)

SPECS: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in (MODEL_100M, MODEL_200M, MODEL_500M)})
