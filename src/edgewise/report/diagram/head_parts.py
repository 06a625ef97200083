"""Drawings of heads, from the last map to the logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from edgewise.report.diagram.parts import Box, Branches, Chain, LinearLayer, PlainLayer
from edgewise.report.diagram.pieces import Place, activation, as_box, batch_norm, with_strip
from edgewise.spec.heads import ConvHeadSpec, NormLinearHeadSpec, PoolHeadSpec, TokenHeadSpec
from edgewise.spec.row import Row

MEAN = Box(style="plain", title="mean over the map")


def conv_head_parts(head: ConvHeadSpec, at: Place) -> Chain:
    """1x1 convolution behind or before the mean, linear classifier."""
    hidden = at.conv(at.in_chs, head.hidden_chs, act=at.spec.act, norm=head.norm, bias=head.bias)
    inner = (MEAN, hidden) if head.pool == "before" else (hidden, MEAN)
    return (*inner, *_classifier(head.hidden_chs, at))


def pool_head_parts(head: PoolHeadSpec, at: Place) -> Chain:
    """Mean, linear classifier."""
    del head
    return (MEAN, *_classifier(at.in_chs, at))


def norm_linear_head_parts(head: NormLinearHeadSpec, at: Place) -> Chain:
    """Mean, batch norm, linear classifier; two of the pair while a teacher is at hand."""
    classifier = _classifier(at.in_chs, at)
    if not classifier:
        return (MEAN,)
    norm = as_box(batch_norm(at.in_chs))
    if at.fused:
        return (MEAN, *classifier)
    if not head.distilled:
        return (MEAN, norm, *classifier)
    return (MEAN, Branches(((norm, *classifier), (norm, *classifier))))


def token_head_parts(head: TokenHeadSpec, at: Place) -> Chain:
    """1x1 convolution, mean, first token beside it, hidden linear layer with norm, linear classifier."""
    assert at.spec.tokens is not None
    dim, num_chs = at.spec.tokens.token_dim, head.conv_chs + at.spec.tokens.token_dim
    shuffle = (Box(style="plain", title="shuffle", layers=(PlainLayer("shuffle"),)),) if head.groups > 1 else ()
    swish = activation("hard_swish", head.hidden_chs)
    mean = Box(style="plain", title="mean, h-swish", note=f"and the first token: {num_chs}", layers=swish.layers)
    hidden = Box(
        style="pointwise",
        title="linear",
        note=f"{head.conv_chs} + {dim} → {head.hidden_chs}",
        layers=(LinearLayer(num_chs, head.hidden_chs),),
        strips=() if at.fused else (batch_norm(head.hidden_chs),),
    )
    convolution = at.conv(at.in_chs, head.conv_chs, groups=head.groups, act=at.spec.act)
    return (*shuffle, convolution, mean, *with_strip((hidden,), swish), *_classifier(head.hidden_chs, at))


def head_parts(at: Place) -> Chain:
    """Return the drawing of the head of the network that `at` is in; ``at.in_chs`` is the width of the last map."""
    return _HEADS[type(at.spec.head)](at.spec.head, at)


def _classifier(num_chs: int, at: Place) -> Chain:
    classes = at.spec.num_classes
    if classes == 0:
        return ()
    return (
        Box(style="pointwise", title="linear", note=f"{num_chs} → {classes}", layers=(LinearLayer(num_chs, classes),)),
    )


_HEADS: Mapping[type[Row], Callable[[Any, Place], Chain]] = MappingProxyType(
    {
        ConvHeadSpec: conv_head_parts,
        PoolHeadSpec: pool_head_parts,
        NormLinearHeadSpec: norm_linear_head_parts,
        TokenHeadSpec: token_head_parts,
    }
)
