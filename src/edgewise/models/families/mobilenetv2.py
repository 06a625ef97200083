"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381): one table, widths of it, and timm's two deeper forms.

Batch norm settings are timm's and torchvision's, which here agree (eps 1e-5, momentum 0.1); TF's are 1e-3 and 0.01.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, DepthwiseSeparableSpec, InvertedResidualSpec
from edgewise.spec.scale import scale_width


def bottlenecks(repeats: int, out_chs: int, *, stride: int) -> tuple[InvertedResidualSpec, ...]:
    """Return one line of the paper's table: ``repeats`` blocks with expansion 6, the stride on the first."""
    first = InvertedResidualSpec.model_validate({"out_chs": out_chs, "stride": stride, "expand_ratio": 6})
    return (first, *(InvertedResidualSpec(out_chs=out_chs, expand_ratio=6) for _ in range(repeats - 1)))


# Paper Table 2. The first line, whose expansion is 1, has no expanding convolution at all.
MOBILENETV2_100 = ModelSpec(
    name="mobilenetv2_100",
    img_size=224,
    act="relu6",
    stem=ConvSpec(out_chs=32, kernel=3, stride=2),  # 224 -> 112
    stages=(
        (DepthwiseSeparableSpec(out_chs=16),),  # 112
        bottlenecks(2, 24, stride=2),  # 112 -> 56
        bottlenecks(3, 32, stride=2),  # 56 -> 28
        bottlenecks(4, 64, stride=2),  # 28 -> 14
        bottlenecks(3, 96, stride=1),  # 14
        bottlenecks(3, 160, stride=2),  # 14 -> 7
        bottlenecks(1, 320, stride=1),  # 7, to the head
    ),
    head=ConvHeadSpec(hidden_chs=1280, pool="after"),
)


def at_width(name: str, width_mult: float) -> ModelSpec:
    """Return the network with every width times ``width_mult``; the head's 1280 never become fewer (paper, section 6.1)."""
    spec = scale_width(MOBILENETV2_100, width_mult, scale_head=width_mult > 1)
    return spec.model_copy(update={"name": name})


def deeper(name: str, width_mult: float, rows: tuple[int, ...]) -> ModelSpec:
    """Return the network with ``rows`` blocks in its stages, widened between stem and head: timm's compound scaling.

    The counts are timm's depth multiplier (1.2 and 1.4) times the table's, rounded up; first and last stage keep their one block.
    """
    stages = zip(MOBILENETV2_100.stages, rows, strict=True)
    longer = tuple((*stage, *stage[-1:] * (count - len(stage))) for stage, count in stages)
    spec = MOBILENETV2_100.model_copy(update={"name": name, "stages": longer})
    return scale_width(spec, width_mult, scale_stem=False)


SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            at_width("mobilenetv2_035", 0.35),
            at_width("mobilenetv2_050", 0.5),
            at_width("mobilenetv2_075", 0.75),
            MOBILENETV2_100,
            at_width("mobilenetv2_130", 1.3),
            at_width("mobilenetv2_140", 1.4),
            deeper("mobilenetv2_110d", 1.1, (1, 3, 4, 5, 4, 4, 1)),
            deeper("mobilenetv2_120d", 1.2, (1, 3, 5, 6, 5, 5, 1)),
            MOBILENETV2_100.model_copy(update={"name": "mobilenet_v2"}),  # torchvision's name for the same network
        )
    }
)
