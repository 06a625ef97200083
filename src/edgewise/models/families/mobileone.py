"""MobileOne (Vasu et al. 2023, arXiv 2206.04040): S0 to S4.

A block is a depthwise unit and a 1x1 unit. Table 2 splits the stage at stride 16 in two of five blocks; it is one here, as in the
released code. Table 7 gives S0's first layer four branches; the released code and weights have one, and so has this.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import Literal

from edgewise.spec.heads import PoolHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.rows import MobileOneSpec

DEPTHS = (2, 8, 10, 1)
"""Blocks in each stage."""

SE_16TH = SESpec(ratio=1 / 16, divisor=1, round_limit=0, gate="sigmoid", place="out")


def block(
    in_chs: int, out_chs: int, *, stride: Literal[1, 2], branches: int, se: SESpec | None
) -> tuple[MobileOneSpec, MobileOneSpec]:
    """Return a block's two units: depthwise 3x3 with the stride, then 1x1 to the new width (figure 3)."""
    return (
        MobileOneSpec(out_chs=in_chs, kernel=3, stride=stride, depthwise=True, num_branches=branches, se=se),
        MobileOneSpec(out_chs=out_chs, kernel=1, num_branches=branches, se=se),
    )


def stage(in_chs: int, out_chs: int, depth: int, branches: int, se_blocks: int) -> tuple[MobileOneSpec, ...]:
    """Return ``depth`` blocks, the first of which halves the map and the last ``se_blocks`` of which have squeeze-and-excitation."""
    return tuple(
        chain.from_iterable(
            block(
                in_chs if index == 0 else out_chs,
                out_chs,
                stride=2 if index == 0 else 1,
                branches=branches,
                se=SE_16TH if index >= depth - se_blocks else None,
            )
            for index in range(depth)
        )
    )


def mobileone(
    name: str, widths: tuple[int, ...], *, branches: int = 1, se_blocks: tuple[int, ...] = (0, 0, 0, 0)
) -> ModelSpec:
    """Return the network with ``widths`` channels; the first layer is as wide as stage 0, but 64 at most."""
    stem_chs = min(64, widths[0])
    return ModelSpec(
        name=name,
        img_size=224,
        stem=MobileOneSpec(out_chs=stem_chs, kernel=3, stride=2),
        stages=tuple(
            stage(in_chs, out_chs, depth, branches, num_se)
            for in_chs, out_chs, depth, num_se in zip((stem_chs, *widths[:-1]), widths, DEPTHS, se_blocks, strict=True)
        ),
        head=PoolHeadSpec(),
    )


# Tables 2 and 7; widths are 64, 128, 256, 512 times each variant's multipliers.
SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            #                         channels at strides 4, 8, 16, 32
            mobileone("mobileone_s0", (48, 128, 256, 1024), branches=4),
            mobileone("mobileone_s1", (96, 192, 512, 1280)),
            mobileone("mobileone_s2", (96, 256, 640, 2048)),
            mobileone("mobileone_s3", (128, 320, 768, 2048)),
            mobileone("mobileone_s4", (192, 448, 896, 2048), se_blocks=(0, 0, 5, 1)),
        )
    }
)
