"""One small network for each naming layout, with every kind of row that a foreign layout has names for."""

from edgewise.models.families.repvit import SE_QUARTER
from edgewise.spec.former_rows import TokensSpec
from edgewise.spec.heads import ConvHeadSpec, NormLinearHeadSpec, PoolHeadSpec, TokenHeadSpec
from edgewise.spec.model import ModelSpec, NormSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import (
    BneckLiteSpec,
    ConvSpec,
    DepthwiseSeparableSpec,
    FormerDownSpec,
    FormerSpec,
    InvertedResidualSpec,
    MobileOneSpec,
    RepVGGSpec,
    RepViTDownSpec,
    RepViTSpec,
    RepViTStemSpec,
)

GATE = SESpec()
SUM_GATE = SESpec(ratio=0.5, divisor=1, gate="sigmoid", place="out")

V2 = ModelSpec(
    name="tiny_v2",
    stem=ConvSpec(out_chs=8, stride=2),
    stages=((DepthwiseSeparableSpec(out_chs=8),), (InvertedResidualSpec(out_chs=16, stride=2),)),
    head=ConvHeadSpec(hidden_chs=24, pool="after"),
    num_classes=5,
)
V3 = ModelSpec(
    name="tiny_v3",
    stem=ConvSpec(out_chs=8, stride=2),
    stages=(
        (DepthwiseSeparableSpec(out_chs=8, se=GATE), DepthwiseSeparableSpec(out_chs=8)),
        (InvertedResidualSpec(out_chs=16, stride=2), InvertedResidualSpec(out_chs=16, se=GATE)),
        (ConvSpec(out_chs=24, kernel=1),),
    ),
    head=ConvHeadSpec(hidden_chs=32, norm=False, bias=True),
    act="hard_swish",
    norm=NormSpec(eps=1e-3, momentum=0.01),
    num_classes=5,
)
REPVGG = ModelSpec(
    name="tiny_repvgg",
    stem=RepVGGSpec(out_chs=8, stride=2),
    stages=((RepVGGSpec(out_chs=8), RepVGGSpec(out_chs=8, groups=2, se=SUM_GATE)), (RepVGGSpec(out_chs=16, stride=2),)),
    head=PoolHeadSpec(),
    num_classes=5,
)
MOBILEONE = ModelSpec(
    name="tiny_mobileone",
    stem=MobileOneSpec(out_chs=8, stride=2),
    stages=(
        (
            MobileOneSpec(out_chs=8, depthwise=True, num_branches=2, se=SUM_GATE),
            MobileOneSpec(out_chs=8, kernel=1, num_branches=2),
        ),
        (MobileOneSpec(out_chs=8, stride=2, depthwise=True), MobileOneSpec(out_chs=16, kernel=1)),
    ),
    head=PoolHeadSpec(),
    num_classes=5,
)


def repvit(*, legacy: bool = False, distilled: bool = True) -> ModelSpec:
    return ModelSpec(
        name="tiny_repvit",
        stem=RepViTStemSpec(out_chs=8),
        stages=(
            (RepViTSpec(se=SE_QUARTER, legacy=legacy), RepViTSpec(legacy=legacy)),
            (RepViTDownSpec(out_chs=16, legacy=legacy), RepViTSpec(se=SE_QUARTER, legacy=legacy)),
        ),
        head=NormLinearHeadSpec(distilled=distilled),
        act="gelu",
        num_classes=5,
    )


REPVIT = repvit()
FORMER = ModelSpec(
    name="tiny_former",
    stem=ConvSpec(out_chs=8, stride=2),
    stages=(
        (BneckLiteSpec(out_chs=8, mid_chs=16),),
        (FormerDownSpec(out_chs=16, mid_chs=16, second_mid_chs=32), FormerSpec(out_chs=16, mid_chs=32)),
    ),
    head=TokenHeadSpec(conv_chs=32, hidden_chs=24),
    tokens=TokensSpec(num_tokens=2, token_dim=16),
    act="relu6",
    num_classes=5,
)

OF_OTHERS = {"torchvision": (V2, V3), "authors": (REPVGG, MOBILEONE, REPVIT)}
ALL = (V2, V3, REPVGG, MOBILEONE, REPVIT, FORMER)
