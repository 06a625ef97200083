"""Running stem and stages, whatever they are called and whether tokens go along."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from edgewise.blocks.former import BridgedBlock
from edgewise.errors import InputError
from edgewise.models.layout import Layout


class TrunkOutput(NamedTuple):
    """What stem and stages make of a batch."""

    last: torch.Tensor
    """The last map (N, C, h, w)."""
    tokens: torch.Tensor | None
    """(N, M, d) where the network has tokens."""
    maps: list[torch.Tensor]
    """Those that were asked for, finest first."""


def run_trunk(
    network: nn.Module, layout: Layout, x: torch.Tensor, taps: Collection[int] = (), *, recompute: bool = False
) -> TrunkOutput:
    """Run a network's stem and stages on images (N, C, H, W).

    Args:
        network: has the children that ``layout`` names.
        layout: whose names they are.
        x: images.
        taps: the stages whose maps are wanted too, -1 for the stem.
        recompute: keep only what passes between blocks for the backward pass, and compute the rest of it again there.
    """
    x = run_stem(network, layout, x)
    maps = [x] if -1 in taps else []
    tokens = None
    if layout.has_tokens:
        # copies, not a view: a linear layer of a view with stride 0 takes a slower path, whose last bits vary
        tokens = cast(nn.Embedding, network.tokens).weight.repeat(x.shape[0], 1, 1)
    for index, stage in enumerate(_stages(network, layout)):
        if tokens is not None and isinstance(stage, BridgedBlock):
            x, tokens = _again(stage, x, tokens) if recompute else stage(x, tokens)
        else:
            x = _run_stage(stage, x, recompute=recompute)
        if index in taps:
            maps.append(x)
    return TrunkOutput(x, tokens, maps)


def run_stem(network: nn.Module, layout: Layout, x: torch.Tensor) -> torch.Tensor:
    """Run what comes before the stages."""
    for name in layout.stem:
        x = getattr(network, name)(x)
    return x


def check_images(x: torch.Tensor, in_chans: int) -> None:
    """Refuse what is no batch of images for the network.

    Raises:
        InputError: ``x`` is not (N, in_chans, H, W).
    """
    if x.dim() != 4 or x.shape[1] != in_chans:
        raise InputError(f"the input has shape {tuple(x.shape)}; accepted: (N, {in_chans}, H, W)")


def _run_stage(stage: nn.Module, x: torch.Tensor, *, recompute: bool) -> torch.Tensor:
    """Run one stage; with ``recompute`` block by block, as deep as its containers go."""
    if not recompute:
        out: torch.Tensor = stage(x)
        return out
    if isinstance(stage, nn.Sequential):
        for block in stage:
            x = _run_stage(block, x, recompute=True)
        return x
    again: torch.Tensor = _again(stage, x)
    return again


def _again(block: nn.Module, *inputs: torch.Tensor) -> Any:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(block)

    return checkpoint(block, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Keep the running statistics of the norms in ``block``: the second pass over a batch must not count it twice."""
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        # not track_running_stats: the backward pass expects the same tensors as in the first pass
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, (momentum, num_batches_tracked) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = num_batches_tracked


def _stages(network: nn.Module, layout: Layout) -> Iterable[nn.Module]:
    stages = getattr(network, layout.stages)
    assert isinstance(stages, nn.Sequential | nn.ModuleList)
    return stages
