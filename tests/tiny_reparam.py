"""Networks of the re-parameterisable families, a few rows each, for 32 px and 5 classes."""

from __future__ import annotations

from edgewise.models.families import mobileone, repvgg, repvit
from edgewise.spec.heads import NormLinearHeadSpec, PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import MobileOneSpec, RepVGGSpec, RepViTDownSpec, RepViTSpec, RepViTStemSpec

TINY_REPVGG = ModelSpec(
    name="tiny_repvgg",
    stem=RepVGGSpec(out_chs=8, stride=2),
    stages=(
        (RepVGGSpec(out_chs=8, stride=2), RepVGGSpec(out_chs=8, se=repvgg.SE_16TH)),
        (RepVGGSpec(out_chs=16, stride=2),),
    ),
    head=PoolHeadSpec(),
    num_classes=5,
    img_size=32,
)
TINY_MOBILEONE = ModelSpec(
    name="tiny_mobileone",
    stem=MobileOneSpec(out_chs=8, stride=2),
    stages=(
        mobileone.stage(8, 8, depth=2, branches=3, se_blocks=1),
        mobileone.stage(8, 16, depth=1, branches=2, se_blocks=0),
    ),
    head=PoolHeadSpec(),
    num_classes=5,
    img_size=32,
)
TINY_REPVIT = ModelSpec(
    name="tiny_repvit",
    act="gelu",
    stem=RepViTStemSpec(out_chs=8),
    stages=(repvit.blocks(2, legacy=False), (RepViTDownSpec(out_chs=16), RepViTSpec())),
    head=NormLinearHeadSpec(distilled=True),
    num_classes=5,
    img_size=32,
)
ONE_HEAD = TINY_REPVIT.model_copy(update={"name": "one_head", "head": NormLinearHeadSpec(distilled=False)})
