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
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if not tensor.is_floating_point():
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
                # He's scale, so that signals neither die nor explode over fifty layers
                tensor.copy_(noise * (2.0 / tensor[0].numel()) ** 0.5)
    return model
