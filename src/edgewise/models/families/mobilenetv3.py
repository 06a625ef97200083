"""MobileNetV3 (Howard et al. 2019, arXiv 1905.02244): Large and Small as rows; widths, minimalistic, TF's and torchvision's forms.

Expansions are ratios of the incoming width, as in TF and timm, and give the paper's expanded widths; torchvision scales those
widths instead, which agrees at width 1.0 only. The paper's Table 2 marks squeeze-and-excitation on Small's last 1x1 convolution;
no implementation has it, and the published parameter count only fits without. Batch norm settings are timm's (eps 1e-5, momentum
0.1) where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import AnyRow, ConvSpec, DepthwiseSeparableSpec, InvertedResidualSpec
from edgewise.spec.scale import scale_width

SE = SESpec(ratio=0.25, gate="hard_sigmoid")  # behind the depthwise convolution, a quarter of the expanded width

Nonlinearity = Literal["relu", "hard_swish"]
RE: Nonlinearity = "relu"
HS: Nonlinearity = "hard_swish"


def bneck(
    kernel: int, expand: float, out_chs: int, se: SESpec | None, act: Nonlinearity, stride: int
) -> InvertedResidualSpec:
    """Return a row from the columns of the paper's tables: kernel, expansion, #out, SE, NL, s."""
    return InvertedResidualSpec.model_validate(
        {"kernel": kernel, "expand_ratio": expand, "out_chs": out_chs, "se": se, "act": act, "stride": stride}
    )


# Paper Table 1. The first row, whose expansion is 1, has no expanding convolution.
LARGE = ModelSpec(
    name="mobilenetv3_large_100",
    img_size=224,
    act="hard_swish",
    stem=ConvSpec(out_chs=16, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112
        (DepthwiseSeparableSpec(out_chs=16, act=RE),),
        # stage 1: 112 -> 56
        (bneck(3, 4, 24, None, RE, 2), bneck(3, 3, 24, None, RE, 1)),
        # stage 2: 56 -> 28
        (bneck(5, 3, 40, SE, RE, 2), bneck(5, 3, 40, SE, RE, 1), bneck(5, 3, 40, SE, RE, 1)),
        # stage 3: 28 -> 14
        (
            bneck(3, 6, 80, None, HS, 2),
            bneck(3, 2.5, 80, None, HS, 1),
            bneck(3, 2.3, 80, None, HS, 1),
            bneck(3, 2.3, 80, None, HS, 1),
        ),
        # stage 4: 14
        (bneck(3, 6, 112, SE, HS, 1), bneck(3, 6, 112, SE, HS, 1)),
        # stage 5: 14 -> 7
        (bneck(5, 6, 160, SE, HS, 2), bneck(5, 6, 160, SE, HS, 1), bneck(5, 6, 160, SE, HS, 1)),
        # stage 6: 7, to the head
        (ConvSpec(out_chs=960, kernel=1),),
    ),
    head=ConvHeadSpec(hidden_chs=1280, norm=False, bias=True),
)

# Paper Table 2.
SMALL = ModelSpec(
    name="mobilenetv3_small_100",
    img_size=224,
    act="hard_swish",
    stem=ConvSpec(out_chs=16, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112 -> 56
        (DepthwiseSeparableSpec(out_chs=16, stride=2, se=SE, act=RE),),
        # stage 1: 56 -> 28
        (bneck(3, 4.5, 24, None, RE, 2), bneck(3, 3.67, 24, None, RE, 1)),
        # stage 2: 28 -> 14
        (bneck(5, 4, 40, SE, HS, 2), bneck(5, 6, 40, SE, HS, 1), bneck(5, 6, 40, SE, HS, 1)),
        # stage 3: 14
        (bneck(5, 3, 48, SE, HS, 1), bneck(5, 3, 48, SE, HS, 1)),
        # stage 4: 14 -> 7
        (bneck(5, 6, 96, SE, HS, 2), bneck(5, 6, 96, SE, HS, 1), bneck(5, 6, 96, SE, HS, 1)),
        # stage 5: 7, to the head
        (ConvSpec(out_chs=576, kernel=1),),
    ),
    head=ConvHeadSpec(hidden_chs=1024, norm=False, bias=True),
)

# timm's: Large at width 1.5 and depth 1.2, for 256 px. Depth repeats every stage, the first and the last too.
LARGE_150D = ModelSpec(
    name="mobilenetv3_large_150d",
    img_size=256,
    act="hard_swish",
    stem=ConvSpec(out_chs=24, kernel=3, stride=2),  # 256 -> 128
    stages=(
        # stage 0: 128
        (DepthwiseSeparableSpec(out_chs=24, act=RE), DepthwiseSeparableSpec(out_chs=24, act=RE)),
        # stage 1: 128 -> 64
        (bneck(3, 4, 40, None, RE, 2), bneck(3, 3, 40, None, RE, 1), bneck(3, 3, 40, None, RE, 1)),
        # stage 2: 64 -> 32
        (
            bneck(5, 3, 64, SE, RE, 2),
            bneck(5, 3, 64, SE, RE, 1),
            bneck(5, 3, 64, SE, RE, 1),
            bneck(5, 3, 64, SE, RE, 1),
        ),
        # stage 3: 32 -> 16
        (
            bneck(3, 6, 120, None, HS, 2),
            bneck(3, 2.5, 120, None, HS, 1),
            bneck(3, 2.5, 120, None, HS, 1),
            bneck(3, 2.3, 120, None, HS, 1),
            bneck(3, 2.3, 120, None, HS, 1),
        ),
        # stage 4: 16
        (bneck(3, 6, 168, SE, HS, 1), bneck(3, 6, 168, SE, HS, 1), bneck(3, 6, 168, SE, HS, 1)),
        # stage 5: 16 -> 8
        (
            bneck(5, 6, 240, SE, HS, 2),
            bneck(5, 6, 240, SE, HS, 1),
            bneck(5, 6, 240, SE, HS, 1),
            bneck(5, 6, 240, SE, HS, 1),
        ),
        # stage 6: 8, to the head
        (ConvSpec(out_chs=1440, kernel=1), ConvSpec(out_chs=1440, kernel=1)),
    ),
    head=ConvHeadSpec(hidden_chs=1280, norm=False, bias=True),
)


def at_width(spec: ModelSpec, name: str, width_mult: float) -> ModelSpec:
    """Return ``spec`` with its widths times ``width_mult``; the hidden layer of the head stays, below 0.75 the stem too, as in timm."""
    return scale_width(spec, width_mult, scale_stem=width_mult >= 0.75).model_copy(update={"name": name})


def minimalistic(spec: ModelSpec, name: str) -> ModelSpec:
    """Return ``spec`` for hardware that wants plain parts: no squeeze-and-excitation, 3x3 for 5x5, ReLU for h-swish (TF's README)."""

    def plain(row: AnyRow) -> AnyRow:
        if isinstance(row, ConvSpec):
            return row
        return row.model_copy(update={"kernel": 3, "se": None, "act": None})

    return _each_row(spec, plain).model_copy(update={"name": name, "act": "relu"})


def tf(spec: ModelSpec, name: str) -> ModelSpec:
    """Return ``spec`` as TensorFlow's weights need it: its padding, its batch norm epsilon."""
    return spec.model_copy(update={"name": name, "padding": "same", "norm": NormSpec(eps=1e-3)})


def torchvision(spec: ModelSpec, name: str) -> ModelSpec:
    """Return ``spec`` with torchvision's batch norm settings."""
    return spec.model_copy(update={"name": name, "norm": NormSpec(eps=1e-3, momentum=0.01)})


def rw(spec: ModelSpec, name: str) -> ModelSpec:
    """Return ``spec`` as Ross Wightman's first reading of the paper has it, for the weights he trained with it.

    No residual around the first row, no bias in the head, squeezed widths that are not rounded to multiples of 8, and the row's own
    activation between the two convolutions of squeeze-and-excitation.
    """

    def changed(row: AnyRow) -> AnyRow:
        if isinstance(row, DepthwiseSeparableSpec):
            return row.model_copy(update={"skip": False})
        if not isinstance(row, InvertedResidualSpec) or row.se is None:
            return row
        return row.model_copy(
            update={"se": SESpec(ratio=0.25, divisor=1, act=row.act or spec.act, gate="hard_sigmoid")}
        )

    head = ConvHeadSpec(hidden_chs=1280, norm=False)
    return _each_row(spec, changed).model_copy(update={"name": name, "norm": NormSpec(eps=1e-3), "head": head})


def _each_row(spec: ModelSpec, change: Callable[[AnyRow], AnyRow]) -> ModelSpec:
    return spec.model_copy(update={"stages": tuple(tuple(change(row) for row in stage) for stage in spec.stages)})


LARGE_075 = at_width(LARGE, "mobilenetv3_large_075", 0.75)
SMALL_075 = at_width(SMALL, "mobilenetv3_small_075", 0.75)
LARGE_MINIMAL = minimalistic(LARGE, "mobilenetv3_large_minimal_100")
SMALL_MINIMAL = minimalistic(SMALL, "mobilenetv3_small_minimal_100")

SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            at_width(LARGE, "mobilenetv3_large_050", 0.5),
            LARGE_075,
            LARGE,
            LARGE_150D,
            at_width(SMALL, "mobilenetv3_small_050", 0.5),
            SMALL_075,
            SMALL,
            LARGE_MINIMAL,
            SMALL_MINIMAL,
            rw(LARGE, "mobilenetv3_rw"),
            tf(LARGE_075, "tf_mobilenetv3_large_075"),
            tf(LARGE, "tf_mobilenetv3_large_100"),
            tf(LARGE_MINIMAL, "tf_mobilenetv3_large_minimal_100"),
            tf(SMALL_075, "tf_mobilenetv3_small_075"),
            tf(SMALL, "tf_mobilenetv3_small_100"),
            tf(SMALL_MINIMAL, "tf_mobilenetv3_small_minimal_100"),
            torchvision(LARGE, "mobilenet_v3_large"),
            torchvision(SMALL, "mobilenet_v3_small"),
        )
    }
)
