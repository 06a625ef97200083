"""Mobile-Former (Chen et al. 2022, arXiv 2108.05895): the seven published models as rows.

Rows follow the authors' released code, whose parameter totals equal the published ones: a strided block expands a second time, to
four times its output, which the paper's Table 1 does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgewise.spec.former_rows import BneckLiteSpec, FormerDownSpec, FormerSpec, TokensSpec
from edgewise.spec.heads import TokenHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec, RowSpec

SMALL_TOKENS = TokensSpec(num_tokens=3, token_dim=128)
TOKENS = TokensSpec(num_tokens=6, token_dim=192)


def down(out_chs: int, *, mid: int, groups: int = 1) -> FormerDownSpec:
    """Return the block that halves the map; its second depthwise expands to four times ``out_chs`` in every member."""
    return FormerDownSpec(out_chs=out_chs, mid_chs=mid, second_mid_chs=4 * out_chs, groups=groups)


def _small(name: str, groups: int) -> ModelSpec:
    """Return the 26M and the 52M, which differ in the groups of their 1x1 convolutions."""

    def former(out_chs: int, *, mid: int) -> FormerSpec:
        return FormerSpec(out_chs=out_chs, mid_chs=mid, groups=groups)

    return _model(
        name,
        stem_chs=8,  # 224 -> 112
        stages=(
            # 112 -> 56
            (BneckLiteSpec(out_chs=12, mid_chs=24, stride=2, groups=groups), former(12, mid=36)),
            # 56 -> 28
            (down(24, mid=72, groups=groups), former(24, mid=72)),
            # 28 -> 14
            (down(48, mid=144, groups=groups), former(48, mid=192), former(64, mid=288)),
            # 14 -> 7
            (down(96, mid=384, groups=groups), former(96, mid=576)),
        ),
        tokens=SMALL_TOKENS,
        head=TokenHeadSpec(conv_chs=576, hidden_chs=1024, groups=groups),
    )


def _model(
    name: str, *, stem_chs: int, stages: tuple[tuple[RowSpec, ...], ...], tokens: TokensSpec, head: TokenHeadSpec
) -> ModelSpec:
    return ModelSpec(
        name=name, stem=ConvSpec(out_chs=stem_chs, stride=2), stages=stages, tokens=tokens, head=head, act="relu6"
    )


def former(out_chs: int, *, mid: int) -> FormerSpec:
    """Return the block that keeps the map's resolution."""
    return FormerSpec(out_chs=out_chs, mid_chs=mid)


MODEL_26M = _small("mobileformer_26m", groups=4)
MODEL_52M = _small("mobileformer_52m", groups=1)

MODEL_96M = _model(
    "mobileformer_96m",
    stem_chs=12,  # 224 -> 112
    stages=(
        # 112
        (BneckLiteSpec(out_chs=12, mid_chs=24),),
        # 112 -> 56
        (down(16, mid=72),),
        # 56 -> 28
        (down(32, mid=96), former(32, mid=96)),
        # 28 -> 14
        (down(64, mid=192), former(64, mid=256), former(88, mid=384)),
        # 14 -> 7
        (down(128, mid=528), former(128, mid=768)),
    ),
    tokens=TokensSpec(num_tokens=4, token_dim=128),
    head=TokenHeadSpec(conv_chs=768, hidden_chs=1280),
)

MODEL_151M = _model(
    "mobileformer_151m",
    stem_chs=12,  # 224 -> 112
    stages=(
        # 112
        (BneckLiteSpec(out_chs=12, mid_chs=24),),
        # 112 -> 56
        (down(16, mid=72), former(16, mid=48)),
        # 56 -> 28
        (down(32, mid=96), former(32, mid=96)),
        # 28 -> 14
        (down(64, mid=192), former(64, mid=256), former(88, mid=384), former(88, mid=528)),
        # 14 -> 7
        (down(128, mid=528), former(128, mid=768), former(128, mid=768)),
    ),
    tokens=TOKENS,
    head=TokenHeadSpec(conv_chs=768, hidden_chs=1280),
)

MODEL_214M = _model(
    "mobileformer_214m",
    stem_chs=12,  # 224 -> 112
    stages=(
        # 112
        (BneckLiteSpec(out_chs=12, mid_chs=24),),
        # 112 -> 56
        (down(20, mid=72), former(20, mid=60)),
        # 56 -> 28
        (down(40, mid=120), former(40, mid=160)),
        # 28 -> 14
        (down(80, mid=240), former(80, mid=320), former(112, mid=480), former(112, mid=672)),
        # 14 -> 7
        (down(160, mid=672), former(160, mid=960), former(160, mid=960)),
    ),
    tokens=TOKENS,
    head=TokenHeadSpec(conv_chs=960, hidden_chs=1600),
)

MODEL_294M = _model(
    "mobileformer_294m",
    stem_chs=16,  # 224 -> 112
    stages=(
        # 112
        (BneckLiteSpec(out_chs=16, mid_chs=32),),
        # 112 -> 56
        (down(24, mid=96), former(24, mid=96)),
        # 56 -> 28
        (down(48, mid=144), former(48, mid=192)),
        # 28 -> 14
        (down(96, mid=288), former(96, mid=384), former(128, mid=576), former(128, mid=768)),
        # 14 -> 7
        (down(192, mid=768), former(192, mid=1152), former(192, mid=1152)),
    ),
    tokens=TOKENS,
    head=TokenHeadSpec(conv_chs=1152, hidden_chs=1920),
)

MODEL_508M = _model(
    "mobileformer_508m",
    stem_chs=24,  # 224 -> 112
    stages=(
        # 112
        (BneckLiteSpec(out_chs=24, mid_chs=48),),
        # 112 -> 56
        (down(40, mid=144), former(40, mid=120)),
        # 56 -> 28
        (down(72, mid=240), former(72, mid=216)),
        # 28 -> 14
        (down(128, mid=432), former(128, mid=512), former(176, mid=768), former(176, mid=1056)),
        # 14 -> 7
        (down(240, mid=1056), former(240, mid=1440), former(240, mid=1440)),
    ),
    tokens=TOKENS,
    head=TokenHeadSpec(conv_chs=1440, hidden_chs=1920),
)

SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {spec.name: spec for spec in (MODEL_26M, MODEL_52M, MODEL_96M, MODEL_151M, MODEL_214M, MODEL_294M, MODEL_508M)}
)
