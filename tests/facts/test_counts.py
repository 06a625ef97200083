"""Parameters and MACs of every catalogue entry, to the unit, in training form and fused."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
import timm
import torch
from tests.facts import oracles
from tests.facts.oracles import Oracle
from tests.zoo import ONE_OF_EACH, SMALLEST, taken
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import edgewise
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.facts.cost import Cost
from edgewise.models.facts.costs import COSTS

MODULES = [
    importlib.import_module(f"{oracles.__name__}.{module.name}") for module in pkgutil.iter_modules(oracles.__path__)
]
ORACLES: dict[str, Oracle] = {name: oracle for module in MODULES for name, oracle in module.ORACLES.items()}

PUBLISHED_V4 = (
    "mobilenetv4_conv_small",
    "mobilenetv4_conv_medium",
    "mobilenetv4_conv_large",
    "mobilenetv4_hybrid_medium",
    "mobilenetv4_hybrid_large",
)
COUNTED_BY_HOOKS = ("mobilenetv1_025", "mobilenetv2_035", "mobilenetv3_small_050", *PUBLISHED_V4)


def test_oracles_are_of_catalogue_entries_and_stand_once() -> None:
    assert set(ORACLES) <= set(CATALOGUE)
    assert len(ORACLES) == sum(len(module.ORACLES) for module in MODULES)


def test_costs_are_of_the_catalogue() -> None:
    assert list(COSTS) == list(CATALOGUE)


def _on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return edgewise.create_model(name).eval()


def _num_params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _macs(model: nn.Module, side: int) -> int:
    """Count with torch's own counter, for which a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, 3, side, side, device="meta"))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return flops // 2


@pytest.mark.parametrize("name", taken(ONE_OF_EACH))
def test_counts(name: str) -> None:
    entry, oracle = CATALOGUE[name], ORACLES.get(name)
    model = _on_meta(name)
    fused = edgewise.fuse(model)
    assert (_num_params(model), _macs(model, entry.img_size)) == (entry.params, entry.macs)
    report = edgewise.count(fused, entry.img_size)
    assert report.complete, report.unknown
    assert (_num_params(fused), report.macs) == (entry.params_fused, entry.macs_fused)
    assert COSTS[name] == Cost(
        activations_fused=report.activations,
        weight_bytes_fused=report.weight_bytes,
        activation_bytes_fused=report.read_bytes + report.written_bytes,
        accesses_fused=report.accesses,
        peak_activation_bytes_fused=report.peak_activation_bytes,
    )
    if oracle is not None:
        assert oracle.params in (None, entry.params)
        assert oracle.params_fused in (None, entry.params_fused)
        for form, macs_at in ((model, oracle.macs), (fused, oracle.macs_fused)):
            assert dict(macs_at) == {side: _macs(form, side) for side in macs_at}
    elif timm.is_model(name):
        with torch.device("meta"):
            theirs = timm.create_model(name).eval()
        assert (entry.params, entry.macs) == (_num_params(theirs), _macs(theirs, entry.img_size))


@pytest.mark.parametrize("name", dict.fromkeys((*SMALLEST, *PUBLISHED_V4, "mobilenetv4_conv_blur_medium")))
def test_our_counter_agrees(name: str) -> None:
    """`edgewise.count` gives the same, and what it says of stages, blocks and operators adds up."""
    entry = CATALOGUE[name]
    model = _on_meta(name)
    for form, counts in ((model, (entry.params, entry.macs)), (model.fuse(), (entry.params_fused, entry.macs_fused))):
        report = edgewise.count(form, entry.img_size)
        assert report.complete, report.unknown
        assert (report.params, report.macs) == counts
        for parts in (report.stages, report.blocks, report.ops):
            assert sum(part.macs for part in parts) == report.macs
            assert sum(part.activations for part in parts) == report.activations
        for parts in (report.stages, report.blocks):
            assert sum(part.params for part in parts) == report.params


@pytest.mark.parametrize("name", COUNTED_BY_HOOKS)
def test_activations_equal_a_count_by_hooks(name: str) -> None:
    model = edgewise.create_model(name).eval()
    elements = 0

    def add(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal elements
        elements += output.numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    side = 64
    with torch.inference_mode():
        model(torch.zeros(1, 3, side, side))
    # attention's two matmuls have no module of their own: heads x queries x keys, and heads x queries x value width
    for module in model.modules():
        if type(module).__name__ == "MapAttention":
            strided = isinstance(module.key.down_conv, nn.Conv2d)
            queries = (side // 16) ** 2 if strided else (side // 32) ** 2
            keys = queries // 4 if strided else queries
            elements += module.num_heads * queries * (keys + module.value_dim)
    for module in model.modules():
        module._forward_hooks.clear()
    assert edgewise.count(model, side).activations == elements
