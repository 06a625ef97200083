"""Shared by all tests: deterministic, non-trivial weights; few threads; a cache folder of the test's own."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from torch import nn


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEWISE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def _same_threads() -> None:
    torch.set_num_threads(1)


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and batch norm statistic a value that a wrong wiring would show."""
    generator = torch.Generator().manual_seed(seed)
    stored = model.state_dict().keys()  # other buffers are constants, as the filter of a blur pool
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name not in stored or not tensor.is_floating_point():
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(noise.abs() * 0.5 + 0.5)
            elif name.endswith("running_mean"):
                tensor.copy_(noise * 0.1)
            elif name.endswith("gamma"):
                tensor.copy_(noise * 0.3)
            elif tensor.ndim == 1:
                tensor.copy_(noise * 0.2 + (1.0 if name.endswith("weight") else 0.0))
            else:
                # He's scale, so that signals neither die nor explode over fifty layers; less before the gates of
                # squeeze-and-excitation, which would all saturate: RepVGG-D2se would then magnify the last bit to 100 %
                scale = 0.03 if name.endswith(("fc2.weight", "conv_expand.weight")) else 1.0
                # and so before Mobile-Former's softmax, which would do the same
                scale = 0.3 if name.endswith((".q.weight", ".k.weight")) else scale
                tensor.copy_(noise * scale * (2.0 / tensor[0].numel()) ** 0.5)
    return model


def settled(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """Give every batch norm the statistics that ``images`` have where it stands; in eval mode from then on.

    With `randomise` alone, maps may grow from block to block. A network is then as good as linear in their size, unless attention
    takes them as keys: its softmax becomes a choice, which the last bit decides.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return model.eval()
