"""Drawings of the MobileNets' rows."""

from __future__ import annotations

from dataclasses import replace

from edgewise.report.diagram.parts import Box, Branches, Chain, PlainLayer, Residual, Strip
from edgewise.report.diagram.pieces import Place, as_box, batch_norm, with_strip
from edgewise.spec.mobilenet_rows import (
    ConvSpec,
    DepthwiseSeparableSpec,
    FusedIBSpec,
    InvertedResidualSpec,
    MHSASpec,
    MQASpec,
    UIBSpec,
)
from edgewise.spec.scale import make_divisible


def conv_parts(row: ConvSpec, at: Place) -> Chain:
    """Convolution, norm, activation."""
    return (at.conv(at.in_chs, row.out_chs, row.kernel, row.stride, act=at.act(row.act), pools=True),)


def ds_parts(row: DepthwiseSeparableSpec, at: Place) -> Chain:
    """Depthwise, squeeze-and-excitation, 1x1."""
    act = at.act(row.act)
    chain = (
        at.conv(at.in_chs, at.in_chs, row.kernel, row.stride, groups=at.in_chs, act=act, pools=True),
        *at.se(row.se, "mid", at.in_chs),
        at.conv(at.in_chs, row.out_chs, act=act if row.pw_act else None),
        *at.se(row.se, "out", row.out_chs),
    )
    return with_skip(chain, row, at)


def ir_parts(row: InvertedResidualSpec, at: Place) -> Chain:
    """1x1 expansion, depthwise, squeeze-and-excitation, 1x1 projection."""
    mid_chs, act = make_divisible(at.in_chs * row.expand_ratio), at.act(row.act)
    chain = (
        at.conv(at.in_chs, mid_chs, act=act),
        *at.se(row.se, "expand", mid_chs),
        at.conv(mid_chs, mid_chs, row.kernel, row.stride, groups=mid_chs, act=act, pools=True),
        *at.se(row.se, "mid", mid_chs),
        at.conv(mid_chs, row.out_chs),
        *at.se(row.se, "out", row.out_chs),
    )
    return with_skip(chain, row, at)


def fused_ib_parts(row: FusedIBSpec, at: Place) -> Chain:
    """Full convolution that expands, 1x1 projection."""
    mid_chs = make_divisible(at.in_chs * row.expand_ratio)
    chain = (
        at.conv(at.in_chs, mid_chs, row.kernel, row.stride, act=at.act(row.act), pools=True),
        *at.se(row.se, "mid", mid_chs),
        at.conv(mid_chs, row.out_chs),
        *at.se(row.se, "out", row.out_chs),
    )
    return with_skip(chain, row, at)


def uib_parts(row: UIBSpec, at: Place) -> Chain:
    """Optional depthwise, 1x1 expansion, optional depthwise, 1x1 projection."""
    mid_chs, act = make_divisible(at.in_chs * row.expand_ratio), at.act(row.act)
    start_stride = row.stride if row.mid_kernel is None else 1
    chain: Chain = ()
    if row.start_kernel is not None:
        chain += (at.conv(at.in_chs, at.in_chs, row.start_kernel, start_stride, groups=at.in_chs, pools=True),)
    chain += (at.conv(at.in_chs, mid_chs, act=act), *at.se(row.se, "expand", mid_chs))
    if row.mid_kernel is not None:
        chain += (at.conv(mid_chs, mid_chs, row.mid_kernel, row.stride, groups=mid_chs, act=act, pools=True),)
    chain += at.se(row.se, "mid", mid_chs)
    chain = layer_scaled((*chain, at.conv(mid_chs, row.out_chs)), at)
    chain += at.se(row.se, "out", row.out_chs)
    return with_skip(chain, row, at)


def attention_parts(row: MQASpec | MHSASpec, at: Place) -> Chain:
    """Norm, queries, keys and values, attention, output projection."""
    chs = at.in_chs
    kv_heads = 1 if isinstance(row, MQASpec) else row.num_heads

    def projected(what: str, width: int) -> Chain:
        reduced = (at.conv(chs, chs, row.kv_kernel, row.kv_stride, groups=chs),) if row.kv_stride > 1 else ()
        return (*reduced, replace(at.conv(chs, width, norm=False), title=f"{what}, 1×1"))

    sharing = "one shared key and value head" if kv_heads == 1 else "own keys and values per head"
    attention = Box(
        style="attention",
        title=f"attention, {row.num_heads} query heads of {row.key_dim}",
        note=f"softmax(Q·K / √{row.key_dim}) V, {sharing}",
    )
    queries: Chain = (replace(at.conv(chs, row.num_heads * row.key_dim, norm=False), title="queries, 1×1"),)
    keys, values = projected("keys", kv_heads * row.key_dim), projected("values", kv_heads * row.value_dim)
    output = at.conv(row.num_heads * row.value_dim, chs, norm=False, bias=at.fused and _scales(at))
    # the norm stays in the fused form: it cannot be folded through the zero padding behind it
    chain = layer_scaled((as_box(batch_norm(chs)), Branches((queries, keys, values), attention), output), at)
    return (Residual(chain),) if row.skip else chain


def layer_scaled(chain: Chain, at: Place) -> Chain:
    """Add the layer scale that networks with `layer_scale_init` have behind a projection; the fused form has folded it away."""
    if not _scales(at) or at.fused:
        return chain
    return with_strip(chain, Strip(style="plain", text="layer scale", layers=(PlainLayer("layer_scale"),)))


def with_skip(
    chain: Chain, row: DepthwiseSeparableSpec | InvertedResidualSpec | FusedIBSpec | UIBSpec, at: Place
) -> Chain:
    """Put the residual around ``chain`` where the row has one."""
    skips = row.skip and row.stride == 1 and row.out_chs == at.in_chs
    return (Residual(chain),) if skips else chain


def _scales(at: Place) -> bool:
    return at.spec.layer_scale_init is not None
