"""MobileNetV1 (Howard et al. 2017, arXiv 1704.04861): one table, widths of it, and timm's form with a wider head.

The paper's Table 1 prints stride 2 for the last depthwise convolution; its input and output are both 7x7, and every implementation
has stride 1 there. ReLU6 as in the authors' code and timm; the paper's text says ReLU. No block has a residual.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.spec.heads import ConvHeadSpec, PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, DepthwiseSeparableSpec
from edgewise.spec.scale import scale_width


def wider(out_chs: int, *, stride: int = 1) -> DepthwiseSeparableSpec:
    """Return a row that changes the width, and with ``stride`` 2 the resolution."""
    return DepthwiseSeparableSpec.model_validate({"out_chs": out_chs, "stride": stride, "pw_act": True})


def alike(out_chs: int) -> DepthwiseSeparableSpec:
    """Return a row that keeps width and resolution; later MobileNets would add the input here."""
    return DepthwiseSeparableSpec(out_chs=out_chs, pw_act=True, skip=False)


# Paper Table 1.
MOBILENETV1_100 = ModelSpec(
    name="mobilenetv1_100",
    img_size=224,
    act="relu6",
    stem=ConvSpec(out_chs=32, kernel=3, stride=2),  # 224 -> 112
    stages=(
        # stage 0: 112
        (wider(64),),
        # stage 1: 112 -> 56
        (wider(128, stride=2), alike(128)),
        # stage 2: 56 -> 28
        (wider(256, stride=2), alike(256)),
        # stage 3: 28 -> 14
        (wider(512, stride=2), alike(512), alike(512), alike(512), alike(512), alike(512)),
        # stage 4: 14 -> 7
        (wider(1024, stride=2), alike(1024)),
    ),
    head=PoolHeadSpec(),
)

# timm's: a 1x1 convolution before the pool, as wide as the last block.
MOBILENETV1_100H = MOBILENETV1_100.model_copy(
    update={"name": "mobilenetv1_100h", "head": ConvHeadSpec(hidden_chs=1024, pool="after")}
)


def at_width(name: str, width_mult: float) -> ModelSpec:
    """Return the network with every width times ``width_mult``, stem and head too (paper, section 3.3)."""
    return scale_width(MOBILENETV1_100, width_mult).model_copy(update={"name": name})


SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            at_width("mobilenetv1_025", 0.25),
            at_width("mobilenetv1_050", 0.5),
            at_width("mobilenetv1_075", 0.75),
            MOBILENETV1_100,
            MOBILENETV1_100H,
            at_width("mobilenetv1_125", 1.25),
        )
    }
)
