"""RepViT (Wang et al. 2024, arXiv 2307.09283): the published models, and those of the paper's first version (M1, M2, M3).

Widths and depths follow the released code (THU-MIG/RepViT, commit 298f420). Its depths count the blocks behind a downsampling
block, which holds a block and a channel mixer more. All have two heads, as they were trained with a teacher.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.spec.heads import NormLinearHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import RepViTDownSpec, RepViTSpec, RepViTStemSpec

SE_QUARTER = SESpec(ratio=0.25, divisor=8, round_limit=0, gate="sigmoid", place="out")


def blocks(depth: int, *, legacy: bool) -> tuple[RepViTSpec, ...]:
    """Return ``depth`` blocks, every other one with squeeze-and-excitation, beginning with the first (section 3.4)."""
    return tuple(RepViTSpec(se=SE_QUARTER if index % 2 == 0 else None, legacy=legacy) for index in range(depth))


def repvit(name: str, widths: tuple[int, ...], depths: tuple[int, ...], *, legacy: bool = False) -> ModelSpec:
    """Return the network with ``depths`` blocks of ``widths`` channels at strides 4, 8, 16 and 32."""
    later = zip(widths[1:], depths[1:], strict=True)
    return ModelSpec(
        name=name,
        img_size=224,
        act="gelu",
        stem=RepViTStemSpec(out_chs=widths[0]),
        stages=(
            blocks(depths[0], legacy=legacy),
            *((RepViTDownSpec(out_chs=chs, legacy=legacy), *blocks(depth, legacy=legacy)) for chs, depth in later),
        ),
        head=NormLinearHeadSpec(distilled=True),
    )


SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            repvit("repvit_m0_6", (40, 80, 160, 320), (1, 1, 8, 1)),
            repvit("repvit_m0_9", (48, 96, 192, 384), (2, 2, 14, 2)),
            repvit("repvit_m1_0", (56, 112, 224, 448), (2, 2, 14, 2)),
            repvit("repvit_m1_1", (64, 128, 256, 512), (2, 2, 12, 2)),
            repvit("repvit_m1_5", (64, 128, 256, 512), (4, 4, 24, 4)),
            repvit("repvit_m2_3", (80, 160, 320, 640), (6, 6, 34, 2)),
            repvit("repvit_m1", (48, 96, 192, 384), (2, 2, 14, 2), legacy=True),
            repvit("repvit_m2", (64, 128, 256, 512), (2, 2, 12, 2), legacy=True),
            repvit("repvit_m3", (64, 128, 256, 512), (4, 4, 18, 2), legacy=True),
        )
    }
)
