"""Other people's modules are folded by the methods that they bring for it."""

from __future__ import annotations

import pytest
import timm
import torch
from tests.conftest import randomise
from torch import nn

from edgewise.blocks.fuse import fuse

REPARAMETERISABLE = ("mobileone_s0", "repvgg_a0", "repvit_m0_9", "shvit_s1")
"""timm's, all of whose batch norms go away."""


def _norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


@pytest.mark.parametrize("name", [*REPARAMETERISABLE, "fastvit_t8", "ghostnet_100", "starnet_s1"])
def test_timms_models_answer_the_same_with_fewer_norms(name: str) -> None:
    # in float64, so that what random weights blow up is no rounding
    model = randomise(timm.create_model(name, num_classes=5)).eval().double()
    x = torch.randn(2, 3, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    norms = _norms(model)
    fused = fuse(model)
    with torch.inference_mode():
        torch.testing.assert_close(fused(x), model(x), rtol=1e-6, atol=1e-6 * float(model(x).abs().max()))
        assert torch.equal(fuse(fused)(x), fused(x))
    assert _norms(model) == norms
    assert all(p.requires_grad for p in fused.parameters())
    assert _norms(fused) < norms
    assert {p.dtype for p in fused.parameters()} == {torch.float64}
    assert not any(module.training for module in fused.modules())
    if name in REPARAMETERISABLE:
        assert _norms(fused) == 0


class _InPlace(nn.Module):
    """Folds itself, and notes in which precision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.folded_in: torch.dtype | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)

    def switch_to_deploy(self) -> None:
        self.folded_in = self.conv.weight.dtype


def test_in_float64_and_on_a_copy() -> None:
    model = nn.Sequential(nn.Sequential(_InPlace()))
    fused = fuse(model)
    assert fused[0][0].folded_in is torch.float64
    assert fused[0][0].conv.weight.dtype is torch.float32
    assert model[0][0].folded_in is None
