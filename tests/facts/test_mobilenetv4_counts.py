"""Parameters and MACs of the five published models, to the unit."""

from __future__ import annotations

import pytest
import torch

import edgewise
from edgewise.models.catalogue import CATALOGUE

# (params, params with batch norms folded, {side: MACs}); counted independently from the row tables and on timm's models
ORACLES = {
    "mobilenetv4_conv_small": (3_774_024, 3_761_480, {224: 186_005_568, 256: 242_178_048, 384: 541_764_608}),
    "mobilenetv4_conv_medium": (9_715_512, 9_681_560, {224: 827_649_984, 256: 1_080_244_224}),
    "mobilenetv4_conv_large": (32_590_864, 32_516_088, {256: 2_835_269_632, 384: 6_376_220_672}),
    "mobilenetv4_hybrid_medium": (11_074_648, 11_033_880, {224: 966_311_360, 256: 1_271_183_360}),
    "mobilenetv4_hybrid_large": (37_764_624, 37_675_768, {256: 3_345_008_640, 384: 7_711_877_120}),
}


def test_every_catalogue_entry_has_an_oracle() -> None:
    assert set(ORACLES) == {name for name in CATALOGUE if name.startswith("mobilenetv4")}


@pytest.mark.parametrize("name", ORACLES)
def test_counts(name: str) -> None:
    params, folded, macs_at = ORACLES[name]
    model = edgewise.create_model(name)
    for side, macs in macs_at.items():
        report = edgewise.count(model, side)
        assert report.complete
        assert (report.params, report.macs) == (params, macs)
        for parts in (report.stages, report.blocks, report.ops):
            assert sum(part.macs for part in parts) == macs
            assert sum(part.activations for part in parts) == report.activations
        assert sum(part.params for part in report.stages) == params
        assert sum(part.params for part in report.blocks) == params
    entry = CATALOGUE[name]
    assert (entry.params, entry.macs) == (params, macs_at[entry.img_size])
    assert sum(p.numel() for p in edgewise.fuse(model).parameters()) == folded


@pytest.mark.parametrize("name", ORACLES)
def test_activations_equal_a_count_by_hooks(name: str) -> None:
    model = edgewise.create_model(name).eval()
    elements = 0

    def add(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal elements
        elements += output.numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(add)
    side = 64
    with torch.inference_mode():
        model(torch.zeros(1, 3, side, side))
    # attention's two matmuls have no module of their own: heads x queries x keys, and heads x queries x value width
    for module in model.modules():
        if type(module).__name__ == "MapAttention":
            strided = isinstance(module.key.down_conv, torch.nn.Conv2d)
            queries = (side // 16) ** 2 if strided else (side // 32) ** 2
            keys = queries // 4 if strided else queries
            elements += module.num_heads * queries * (keys + module.value_dim)
    for module in model.modules():
        module._forward_hooks.clear()
    assert edgewise.count(model, side).activations == elements
