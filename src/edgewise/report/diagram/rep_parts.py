"""Drawings of the re-parameterisable rows: several branches in the training form, one convolution in the fused form."""

from __future__ import annotations

from edgewise.report.diagram.parts import Branches, Chain, Node, Residual
from edgewise.report.diagram.pieces import Place, activation, as_box, batch_norm, with_strip
from edgewise.spec.rep_rows import MobileOneSpec, RepVGGSpec, RepViTDownSpec, RepViTSpec, RepViTStemSpec
from edgewise.spec.scale import make_divisible


def repvgg_parts(row: RepVGGSpec, at: Place) -> Chain:
    """3x3, 1x1 and a batch norm alone, summed."""
    chs = (at.in_chs, row.out_chs)
    if at.fused:
        return _then(row, at, at.conv(*chs, 3, row.stride, groups=row.groups))
    branches: list[Chain] = [
        (at.conv(*chs, 3, row.stride, groups=row.groups),),
        (at.conv(*chs, 1, row.stride, groups=row.groups),),
    ]
    return _then(row, at, Branches((*branches, *_norm_alone(row, at))))


def mobileone_parts(row: MobileOneSpec, at: Place) -> Chain:
    """`num_branches` convolutions, a 1x1 one where the kernel is larger, a batch norm alone, summed."""
    chs, groups = (at.in_chs, row.out_chs), at.in_chs if row.depthwise else 1
    if at.fused:
        return _then(row, at, at.conv(*chs, row.kernel, row.stride, groups=groups))
    branches: list[Chain] = [(at.conv(*chs, row.kernel, row.stride, groups=groups, times=row.num_branches),)]
    if row.kernel > 1:
        branches.append((at.conv(*chs, 1, row.stride, groups=groups),))
    branches += _norm_alone(row, at)
    if len(branches) == 1 and row.num_branches == 1:
        return _then(row, at, branches[0][0])
    return _then(row, at, Branches(tuple(branches)))


def repvit_parts(row: RepViTSpec, at: Place) -> Chain:
    """Token mixer, squeeze-and-excitation, residual channel mixer."""
    act = at.act(row.act)
    return (
        *_mixer(at, at.in_chs, row.kernel, legacy=row.legacy),
        *at.se(row.se, "out", at.in_chs),
        _channel_mixer(at, at.in_chs, row.expand_ratio, act),
    )


def repvit_down_parts(row: RepViTDownSpec, at: Place) -> Chain:
    """A block at the old width, strided depthwise, 1x1 to the new width, residual channel mixer."""
    act, chs = at.act(row.act), at.in_chs
    return (
        *_mixer(at, chs, row.kernel, legacy=row.legacy),
        _channel_mixer(at, chs, row.expand_ratio, act),
        at.conv(chs, chs, row.kernel, row.stride, groups=chs),
        at.conv(chs, row.out_chs),
        _channel_mixer(at, row.out_chs, row.expand_ratio, act),
    )


def repvit_stem_parts(row: RepViTStemSpec, at: Place) -> Chain:
    """Two 3x3 convolutions with one activation between them."""
    half = row.out_chs // 2
    first, second = (2 if row.stride > 1 else 1), (2 if row.stride > 2 else 1)
    return (
        at.conv(at.in_chs, half, 3, first, act=at.act(row.act)),
        at.conv(half, row.out_chs, 3, second),
    )


def _then(row: RepVGGSpec | MobileOneSpec, at: Place, summed: Node) -> Chain:
    act = activation(at.act(row.act), row.out_chs)
    return with_strip((summed, *at.se(row.se, "out", row.out_chs)), act)


def _norm_alone(row: RepVGGSpec | MobileOneSpec, at: Place) -> list[Chain]:
    keeps_shape = row.stride == 1 and row.out_chs == at.in_chs
    if not (row.skip and keeps_shape):
        return []
    return [(as_box(batch_norm(at.in_chs)),)]


def _mixer(at: Place, chs: int, kernel: int, *, legacy: bool) -> Chain:
    if at.fused:
        return (at.conv(chs, chs, kernel, groups=chs),)
    branches: tuple[Chain, ...] = (
        (at.conv(chs, chs, kernel, groups=chs),),
        (at.conv(chs, chs, groups=chs, norm=legacy, bias=not legacy),),
        (),
    )
    return (Branches(branches),) if legacy else (Branches(branches), as_box(batch_norm(chs)))


def _channel_mixer(at: Place, chs: int, expand_ratio: float, act: str) -> Residual:
    hidden = make_divisible(chs * expand_ratio)
    return Residual((at.conv(chs, hidden, act=act), at.conv(hidden, chs)))
