"""Drawings of Mobile-Former's rows: the map's lane, the tokens' lane, and the bridges between them."""

from __future__ import annotations

from edgewise.report.diagram.mobilenet_parts import layer_scaled
from edgewise.report.diagram.parts import Box, Chain, Lanes, LinearLayer, Node, NormLayer, PlainLayer, Residual, Strip
from edgewise.report.diagram.pieces import Place
from edgewise.spec.former_rows import BneckLiteSpec, FormerDownSpec, FormerSpec, FormerUIBSpec, TokensSpec
from edgewise.spec.scale import make_divisible


def bneck_lite_parts(row: BneckLiteSpec, at: Place) -> Chain:
    """Depthwise that expands, 1x1."""
    act = at.act(row.act)
    chain = (
        at.conv(
            at.in_chs,
            row.mid_chs,
            3,
            row.stride,
            groups=at.in_chs,
            act=act,
            pools=True,
            behind=_shuffle(row, at.in_chs),
        ),
        at.conv(row.mid_chs, row.out_chs, groups=row.groups),
    )
    keeps_shape = row.stride == 1 and row.out_chs == at.in_chs
    return (Residual(chain),) if keeps_shape else chain


def former_parts(row: FormerSpec, at: Place) -> Lanes:
    """Bridge to the tokens, Former, 1x1 - depthwise - 1x1 with dynamic ReLU, bridge back."""
    activates, shuffles = (_token_relu(at, row.mid_chs),), _shuffle(row, row.groups)
    chain = (
        at.conv(at.in_chs, row.mid_chs, groups=row.groups, before_pool=(*shuffles, *activates)),
        at.conv(row.mid_chs, row.mid_chs, 3, groups=row.mid_chs, before_pool=activates),
        at.conv(row.mid_chs, row.out_chs, groups=row.groups, behind=shuffles),
    )
    return _bridged((Residual(chain),) if row.out_chs == at.in_chs else chain, at, row.out_chs)


def former_down_parts(row: FormerDownSpec, at: Place) -> Lanes:
    """As `former_parts`, with a strided depthwise that expands, 1x1, and a residual depthwise that expands, 1x1."""
    first = (*_shuffle(row, at.in_chs), _token_relu(at, row.mid_chs))
    second = (*_shuffle(row, row.out_chs), _token_relu(at, row.second_mid_chs))
    inner = (
        at.conv(row.out_chs, row.second_mid_chs, 3, groups=row.out_chs, before_pool=second),
        at.conv(row.second_mid_chs, row.out_chs, groups=row.groups),
    )
    chain = (
        at.conv(at.in_chs, row.mid_chs, 3, row.stride, groups=at.in_chs, before_pool=first, pools=True),
        at.conv(row.mid_chs, row.out_chs, groups=row.groups),
        Residual(inner),
    )
    return _bridged(chain, at, row.out_chs)


def former_uib_parts(row: FormerUIBSpec, at: Place) -> Lanes:
    """Bridge to the tokens, Former, a universal inverted bottleneck with dynamic ReLU, bridge back."""
    mid_chs = make_divisible(at.in_chs * row.expand_ratio)
    activates = (_token_relu(at, mid_chs),)
    start_stride = row.stride if row.mid_kernel is None else 1
    chain: Chain = ()
    if row.start_kernel is not None:
        chain += (at.conv(at.in_chs, at.in_chs, row.start_kernel, start_stride, groups=at.in_chs, pools=True),)
    chain += (at.conv(at.in_chs, mid_chs, before_pool=activates),)
    if row.mid_kernel is not None:
        chain += (
            at.conv(mid_chs, mid_chs, row.mid_kernel, row.stride, groups=mid_chs, before_pool=activates, pools=True),
        )
    chain = layer_scaled((*chain, at.conv(mid_chs, row.out_chs)), at)
    keeps_shape = row.stride == 1 and row.out_chs == at.in_chs
    return _bridged((Residual(chain),) if keeps_shape else chain, at, row.out_chs)


def _bridged(convolutions: tuple[Node, ...], at: Place, out_chs: int) -> Lanes:
    tokens = _tokens(at)
    before = (to_tokens(tokens, at.in_chs), *_former(tokens))
    after = (*convolutions, _to_map(tokens, out_chs))
    return Lanes((*(("tokens", node) for node in before), *(("map", node) for node in after)))


def to_tokens(tokens: TokensSpec, chs: int) -> Box:
    """Draw the bridge over which the tokens read a map of ``chs`` channels."""
    dim = tokens.token_dim
    return Box(
        style="tokens",
        title="Mobile → Former",
        note=f"tokens ask, pixels answer, {tokens.bridge_heads} heads of {chs // tokens.bridge_heads}",
        layers=(LinearLayer(dim, chs),),
        strips=(
            Strip(style="plain", text="× gate", layers=(LinearLayer(dim, chs), PlainLayer("hard_sigmoid"))),
            Strip(style="plain", text="linear, + tokens", layers=(LinearLayer(chs, dim),)),
            _layer_norm(dim),
        ),
        reads="pixels",
    )


def _former(tokens: TokensSpec) -> tuple[Box, ...]:
    dim, hidden = tokens.token_dim, round(tokens.token_dim * tokens.mlp_ratio)
    attention = Box(
        style="tokens",
        title="Former: attention",
        note=f"tokens ask tokens, {tokens.former_heads} heads of {dim // tokens.former_heads}",
        layers=(LinearLayer(dim, dim),),
        strips=(Strip(style="plain", text="linear, + tokens", layers=(LinearLayer(dim, dim),)), _layer_norm(dim)),
    )
    mlp = Box(
        style="tokens",
        title="Former: feed-forward",
        note=f"{dim} → {hidden}, GELU, → {dim}",
        layers=(LinearLayer(dim, hidden), PlainLayer("gelu"), LinearLayer(hidden, dim)),
        strips=(Strip(style="plain", text="+ tokens"), _layer_norm(dim)),
    )
    return attention, mlp


def _to_map(tokens: TokensSpec, chs: int) -> Box:
    return Box(
        style="tokens",
        title="Former → Mobile",
        note=f"pixels ask, tokens answer, {tokens.bridge_heads} heads of {chs // tokens.bridge_heads}",
        layers=(LinearLayer(tokens.token_dim, chs), LinearLayer(tokens.token_dim, chs)),
        strips=(Strip(style="plain", text="+ map"),),
        reads="tokens",
    )


def _token_relu(at: Place, chs: int) -> Strip:
    tokens = _tokens(at)
    hidden = max(1, tokens.token_dim // tokens.hyper_reduction)
    slopes = (
        LinearLayer(tokens.token_dim, hidden),
        PlainLayer("relu"),
        LinearLayer(hidden, 2 * chs),
        PlainLayer("hard_sigmoid"),
    )
    return Strip(style="act", text="dynamic ReLU", layers=slopes, reads="first token")


def _layer_norm(dim: int) -> Strip:
    return Strip(style="norm", text="layer norm", layers=(NormLayer("layer", dim),))


def _shuffle(row: BneckLiteSpec | FormerSpec | FormerDownSpec, groups: int) -> tuple[Strip, ...]:
    """Draw the shuffle of ``groups`` groups that rows with grouped convolutions have; nothing for one group."""
    if row.groups == 1 or groups == 1:
        return ()
    return (Strip(style="plain", text=f"shuffle of {groups} groups", layers=(PlainLayer("shuffle"),)),)


def _tokens(at: Place) -> TokensSpec:
    assert at.spec.tokens is not None
    return at.spec.tokens
