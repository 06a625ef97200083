"""MobileNetV4 (Qin et al. 2024, arXiv 2404.10518): the five published models as rows, and what TF and timm made of them.

Rows follow the released code (tensorflow/models, official/vision/modeling/backbones/mobilenet.py), which for Hybrid-M differs
from the paper's Table 13: trained weights exist only for the code's version. Batch norm settings are timm's (eps 1e-5, momentum
0.1), as timm's weights need them; TF trained Conv-S with eps 1e-6 and the others with 1e-3.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, FusedIBSpec, MQASpec, UIBSpec
from edgewise.spec.scale import scale_width


def extra_dw(out_chs: int, *, start: int, mid: int, expand: float, stride: int = 1) -> UIBSpec:
    """Return the UIB form with both depthwise convolutions."""
    return UIBSpec.model_validate(
        {"out_chs": out_chs, "start_kernel": start, "mid_kernel": mid, "expand_ratio": expand, "stride": stride}
    )


def ib(out_chs: int, *, mid: int, expand: float) -> UIBSpec:
    """Return the UIB form of the inverted bottleneck: middle depthwise only."""
    return UIBSpec.model_validate({"out_chs": out_chs, "mid_kernel": mid, "expand_ratio": expand})


def convnext(out_chs: int, *, start: int, expand: float) -> UIBSpec:
    """Return the UIB form after ConvNext: start depthwise only."""
    return UIBSpec.model_validate(
        {"out_chs": out_chs, "start_kernel": start, "mid_kernel": None, "expand_ratio": expand}
    )


def ffn(out_chs: int, *, expand: float) -> UIBSpec:
    """Return the UIB form of a feed-forward network: no depthwise."""
    return UIBSpec(out_chs=out_chs, mid_kernel=None, expand_ratio=expand)


# Paper Table 11. The two early pairs are a convolution and an *activated* 1x1 each, not fused bottlenecks.
CONV_SMALL = ModelSpec(
    name="mobilenetv4_conv_small",
    img_size=224,
    stem=ConvSpec(out_chs=32, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112 -> 56
        (ConvSpec(out_chs=32, kernel=3, stride=2), ConvSpec(out_chs=32, kernel=1)),
        # stage 1: 56 -> 28
        (ConvSpec(out_chs=96, kernel=3, stride=2), ConvSpec(out_chs=64, kernel=1)),
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
        # stage 4: 7, to the head
        (ConvSpec(out_chs=960, kernel=1),),
    ),
)

# Paper Table 12.
CONV_MEDIUM = ModelSpec(
    name="mobilenetv4_conv_medium",
    img_size=256,
    stem=ConvSpec(out_chs=32, kernel=3, stride=2),  # 256 -> 128
    stages=(
        # stage 0: 128 -> 64
        (FusedIBSpec(out_chs=48, kernel=3, stride=2, expand_ratio=4),),
        # stage 1: 64 -> 32
        (
            extra_dw(80, start=3, mid=5, stride=2, expand=4),
            extra_dw(80, start=3, mid=3, expand=2),
        ),
        # stage 2: 32 -> 16
        (
            extra_dw(160, start=3, mid=5, stride=2, expand=6),
            extra_dw(160, start=3, mid=3, expand=4),
            extra_dw(160, start=3, mid=3, expand=4),
            extra_dw(160, start=3, mid=5, expand=4),
            extra_dw(160, start=3, mid=3, expand=4),
            convnext(160, start=3, expand=4),
            ffn(160, expand=2),
            convnext(160, start=3, expand=4),
        ),
        # stage 3: 16 -> 8
        (
            extra_dw(256, start=5, mid=5, stride=2, expand=6),
            extra_dw(256, start=5, mid=5, expand=4),
            extra_dw(256, start=3, mid=5, expand=4),
            extra_dw(256, start=3, mid=5, expand=4),
            ffn(256, expand=4),
            convnext(256, start=3, expand=4),
            extra_dw(256, start=3, mid=5, expand=2),
            extra_dw(256, start=5, mid=5, expand=4),
            ffn(256, expand=4),
            ffn(256, expand=4),
            convnext(256, start=5, expand=2),
        ),
        # stage 4: 8, to the head
        (ConvSpec(out_chs=960, kernel=1),),
    ),
)

# Paper Table 14.
CONV_LARGE = ModelSpec(
    name="mobilenetv4_conv_large",
    img_size=384,
    stem=ConvSpec(out_chs=24, kernel=3, stride=2),  # 384 -> 192
    stages=(
        # stage 0: 192 -> 96
        (FusedIBSpec(out_chs=48, kernel=3, stride=2, expand_ratio=4),),
        # stage 1: 96 -> 48
        (
            extra_dw(96, start=3, mid=5, stride=2, expand=4),
            extra_dw(96, start=3, mid=3, expand=4),
        ),
        # stage 2: 48 -> 24
        (
            extra_dw(192, start=3, mid=5, stride=2, expand=4),
            extra_dw(192, start=3, mid=3, expand=4),
            extra_dw(192, start=3, mid=3, expand=4),
            extra_dw(192, start=3, mid=3, expand=4),
            extra_dw(192, start=3, mid=5, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            convnext(192, start=3, expand=4),
        ),
        # stage 3: 24 -> 12
        (
            extra_dw(512, start=5, mid=5, stride=2, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            convnext(512, start=5, expand=4),
            extra_dw(512, start=5, mid=3, expand=4),
            convnext(512, start=5, expand=4),
            convnext(512, start=5, expand=4),
            extra_dw(512, start=5, mid=3, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            convnext(512, start=5, expand=4),
            convnext(512, start=5, expand=4),
            convnext(512, start=5, expand=4),
        ),
        # stage 4: 12, to the head
        (ConvSpec(out_chs=960, kernel=1),),
    ),
)

_MQA_M_16 = MQASpec(num_heads=4, key_dim=64, value_dim=64, kv_stride=2, kv_kernel=3)
_MQA_M_32 = MQASpec(num_heads=4, key_dim=64, value_dim=64)

# Paper Table 13, as corrected by the released code.
HYBRID_MEDIUM = ModelSpec(
    name="mobilenetv4_hybrid_medium",
    img_size=256,
    layer_scale_init=1e-5,
    stem=ConvSpec(out_chs=32, kernel=3, stride=2),  # 256 -> 128
    stages=(
        # stage 0: 128 -> 64
        (FusedIBSpec(out_chs=48, kernel=3, stride=2, expand_ratio=4),),
        # stage 1: 64 -> 32
        (
            extra_dw(80, start=3, mid=5, stride=2, expand=4),
            extra_dw(80, start=3, mid=3, expand=2),
        ),
        # stage 2: 32 -> 16
        (
            extra_dw(160, start=3, mid=5, stride=2, expand=6),
            ffn(160, expand=2),
            extra_dw(160, start=3, mid=3, expand=4),
            extra_dw(160, start=3, mid=5, expand=4),
            _MQA_M_16,
            extra_dw(160, start=3, mid=3, expand=4),
            _MQA_M_16,
            convnext(160, start=3, expand=4),
            _MQA_M_16,
            extra_dw(160, start=3, mid=3, expand=4),
            _MQA_M_16,
            convnext(160, start=3, expand=4),
        ),
        # stage 3: 16 -> 8
        (
            extra_dw(256, start=5, mid=5, stride=2, expand=6),
            extra_dw(256, start=5, mid=5, expand=4),
            extra_dw(256, start=3, mid=5, expand=4),
            extra_dw(256, start=3, mid=5, expand=4),
            ffn(256, expand=2),
            extra_dw(256, start=3, mid=5, expand=2),
            ffn(256, expand=2),
            ffn(256, expand=4),
            _MQA_M_32,
            convnext(256, start=3, expand=4),
            _MQA_M_32,
            extra_dw(256, start=5, mid=5, expand=4),
            _MQA_M_32,
            convnext(256, start=5, expand=4),
            _MQA_M_32,
            convnext(256, start=5, expand=4),
        ),
        # stage 4: 8, to the head
        (ConvSpec(out_chs=960, kernel=1),),
    ),
)

_MQA_L_16 = MQASpec(num_heads=8, key_dim=48, value_dim=48, kv_stride=2, kv_kernel=3)
_MQA_L_32 = MQASpec(num_heads=8, key_dim=64, value_dim=64)

# Paper Table 15; exact (erf) GELU everywhere.
HYBRID_LARGE = ModelSpec(
    name="mobilenetv4_hybrid_large",
    img_size=384,
    act="gelu",
    layer_scale_init=1e-5,
    stem=ConvSpec(out_chs=24, kernel=3, stride=2),  # 384 -> 192
    stages=(
        # stage 0: 192 -> 96
        (FusedIBSpec(out_chs=48, kernel=3, stride=2, expand_ratio=4),),
        # stage 1: 96 -> 48
        (
            extra_dw(96, start=3, mid=5, stride=2, expand=4),
            extra_dw(96, start=3, mid=3, expand=4),
        ),
        # stage 2: 48 -> 24
        (
            extra_dw(192, start=3, mid=5, stride=2, expand=4),
            extra_dw(192, start=3, mid=3, expand=4),
            extra_dw(192, start=3, mid=3, expand=4),
            extra_dw(192, start=3, mid=3, expand=4),
            extra_dw(192, start=3, mid=5, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            extra_dw(192, start=5, mid=3, expand=4),
            _MQA_L_16,
            extra_dw(192, start=5, mid=3, expand=4),
            _MQA_L_16,
            extra_dw(192, start=5, mid=3, expand=4),
            _MQA_L_16,
            extra_dw(192, start=5, mid=3, expand=4),
            _MQA_L_16,
            convnext(192, start=3, expand=4),
        ),
        # stage 3: 24 -> 12
        (
            extra_dw(512, start=5, mid=5, stride=2, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            convnext(512, start=5, expand=4),
            extra_dw(512, start=5, mid=3, expand=4),
            convnext(512, start=5, expand=4),
            convnext(512, start=5, expand=4),
            extra_dw(512, start=5, mid=3, expand=4),
            extra_dw(512, start=5, mid=5, expand=4),
            _MQA_L_32,
            convnext(512, start=5, expand=4),
            _MQA_L_32,
            convnext(512, start=5, expand=4),
            _MQA_L_32,
            convnext(512, start=5, expand=4),
            _MQA_L_32,
            convnext(512, start=5, expand=4),
        ),
        # stage 4: 12, to the head
        (ConvSpec(out_chs=960, kernel=1),),
    ),
)

# TF's for dense prediction (released code, no paper): Conv-M with a last stage that narrows, and ReLU6, its code's default.
CONV_MEDIUM_SEG = ModelSpec(
    name="mobilenetv4_conv_medium_seg",
    img_size=256,
    act="relu6",
    stem=ConvSpec(out_chs=32, kernel=3, stride=2),  # 256 -> 128
    stages=(
        # stage 0: 128 -> 64
        (FusedIBSpec(out_chs=48, kernel=3, stride=2, expand_ratio=4),),
        # stage 1: 64 -> 32
        (
            extra_dw(80, start=3, mid=5, stride=2, expand=4),
            extra_dw(80, start=3, mid=3, expand=2),
        ),
        # stage 2: 32 -> 16
        (
            extra_dw(160, start=3, mid=5, stride=2, expand=6),
            extra_dw(160, start=3, mid=3, expand=4),
            extra_dw(160, start=3, mid=3, expand=4),
            extra_dw(160, start=3, mid=5, expand=4),
            extra_dw(160, start=3, mid=3, expand=4),
            convnext(160, start=3, expand=4),
            convnext(160, start=3, expand=4),
        ),
        # stage 3: 16 -> 8
        (
            extra_dw(256, start=5, mid=5, stride=2, expand=6),
            extra_dw(128, start=5, mid=5, expand=4),
            extra_dw(128, start=3, mid=5, expand=4),
            extra_dw(128, start=3, mid=5, expand=4),
            convnext(128, start=3, expand=4),
            extra_dw(128, start=3, mid=5, expand=2),
            extra_dw(128, start=5, mid=5, expand=4),
            convnext(128, start=5, expand=2),
        ),
        # stage 4: 8, to the head
        (ConvSpec(out_chs=448, kernel=1),),
    ),
)


def at_width(spec: ModelSpec, name: str, width_mult: float, img_size: int) -> ModelSpec:
    """Return timm's ``spec`` at a smaller width: the 960 of the last stage shrink, stem and 1280 stay (TF scales the stem too)."""
    return scale_width(spec, width_mult, scale_stem=False).model_copy(update={"name": name, "img_size": img_size})


def pooled(spec: ModelSpec, name: str, downsample: Literal["avg", "blur"], img_size: int) -> ModelSpec:
    """Return timm's anti-aliased ``spec``: same weights' names and shapes, pooling instead of strides in the blocks."""
    return spec.model_copy(update={"name": name, "downsample": downsample, "img_size": img_size})


SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            at_width(CONV_SMALL, "mobilenetv4_conv_small_035", 0.35, 224),
            at_width(CONV_SMALL, "mobilenetv4_conv_small_050", 0.5, 224),
            CONV_SMALL,
            CONV_MEDIUM,
            CONV_MEDIUM_SEG,
            pooled(CONV_MEDIUM, "mobilenetv4_conv_aa_medium", "avg", 256),
            pooled(CONV_MEDIUM, "mobilenetv4_conv_blur_medium", "blur", 224),
            CONV_LARGE,
            pooled(CONV_LARGE, "mobilenetv4_conv_aa_large", "avg", 384),
            at_width(HYBRID_MEDIUM, "mobilenetv4_hybrid_medium_075", 0.75, 224),
            HYBRID_MEDIUM,
            at_width(HYBRID_LARGE, "mobilenetv4_hybrid_large_075", 0.75, 256),
            HYBRID_LARGE,
        )
    }
)
