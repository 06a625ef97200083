"""RepVGG (Ding et al. 2021, arXiv 2101.03697): the forms A and B, their grouped relatives, and the released code's D2se.

Section 4.1 and Table 2: the first layer, then four stages of 3x3 units, each of which halves the map with its first unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import RepVGGSpec

A = (2, 4, 14, 1)
B = (4, 6, 16, 1)
D = (8, 14, 24, 1)
"""Units in each stage."""

SE_16TH = SESpec(ratio=1 / 16, divisor=1, round_limit=0, gate="sigmoid", place="out")


def stages(
    depths: tuple[int, ...], widths: tuple[int, ...], groups: int, se: SESpec | None
) -> Iterator[tuple[RepVGGSpec, ...]]:
    """Yield the stages; of all layers, the first being number 0, those of even number have ``groups`` (section 4.1, g2 and g4)."""
    layer = 1
    for depth, out_chs in zip(depths, widths, strict=True):
        yield tuple(
            RepVGGSpec(
                out_chs=out_chs,
                stride=2 if unit == 0 else 1,
                groups=groups if (layer + unit) % 2 == 0 else 1,
                se=se,
            )
            for unit in range(depth)
        )
        layer += depth


def repvgg(
    name: str,
    depths: tuple[int, ...],
    widths: tuple[int, ...],
    *,
    groups: int = 1,
    se: SESpec | None = None,
    img_size: int = 224,
) -> ModelSpec:
    """Return the network with ``depths`` units of ``widths`` channels; the first layer is as wide as stage 0, but 64 at most."""
    return ModelSpec(
        name=name,
        img_size=img_size,
        stem=RepVGGSpec(out_chs=min(64, widths[0]), stride=2, se=se),
        stages=tuple(stages(depths, widths, groups, se)),
        head=PoolHeadSpec(),
    )


# Table 2; widths are 64, 128, 256, 512 times the multipliers a, a, a, b.
SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            #                    units  channels at strides 4, 8, 16, 32
            repvgg("repvgg_a0", A, (48, 96, 192, 1280)),
            repvgg("repvgg_a1", A, (64, 128, 256, 1280)),
            repvgg("repvgg_a2", A, (96, 192, 384, 1408)),
            repvgg("repvgg_b0", B, (64, 128, 256, 1280)),
            repvgg("repvgg_b1", B, (128, 256, 512, 2048)),
            repvgg("repvgg_b1g2", B, (128, 256, 512, 2048), groups=2),
            repvgg("repvgg_b1g4", B, (128, 256, 512, 2048), groups=4),
            repvgg("repvgg_b2", B, (160, 320, 640, 2560)),
            repvgg("repvgg_b2g2", B, (160, 320, 640, 2560), groups=2),
            repvgg("repvgg_b2g4", B, (160, 320, 640, 2560), groups=4),
            repvgg("repvgg_b3", B, (192, 384, 768, 2560)),
            repvgg("repvgg_b3g2", B, (192, 384, 768, 2560), groups=2),
            repvgg("repvgg_b3g4", B, (192, 384, 768, 2560), groups=4),
            repvgg("repvgg_d2se", D, (160, 320, 640, 2560), se=SE_16TH, img_size=320),
        )
    }
)
