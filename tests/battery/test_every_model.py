"""Every name of the catalogue through everything that a user may do with it."""

from __future__ import annotations

import pytest
import torch

import edgewise
from edgewise.graph.capture import capture
from edgewise.models.catalogue import CATALOGUE
from edgewise.spec.text import dump_spec, parse_spec
from edgewise.spec.walk import max_reduction

NAMES = edgewise.list_models()


@pytest.mark.parametrize("name", NAMES)
def test_entry_and_spec_agree(name: str) -> None:
    entry = CATALOGUE[name]
    spec = entry.spec()
    assert (spec.name, spec.img_size) == (name, entry.img_size)
    assert parse_spec(dump_spec(spec)) == spec
    assert max_reduction(spec) == 32
    assert 0.5 < entry.top1 < 1
    assert entry.source


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("in_chans", "side"), [(1, 64), (4, 72)])
def test_forward_and_backward(name: str, in_chans: int, side: int) -> None:
    model = edgewise.create_model(name, num_classes=3, in_chans=in_chans, drop_rate=0.1, drop_path_rate=0.1)
    model(torch.randn(2, in_chans, side, side)).square().sum().backward()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_captured_program_takes_any_batch(name: str) -> None:
    model = edgewise.create_model(name, num_classes=3).eval()
    program = capture(model, torch.zeros(2, 3, 64, 64), dynamic_batch=True).module()
    for batch in (1, 3):
        x = torch.randn(batch, 3, 64, 64)
        with torch.inference_mode():
            torch.testing.assert_close(program(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_layouts_and_precisions(name: str) -> None:
    model = edgewise.create_model(name, num_classes=3).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        wanted = model(x)
        last = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(last, wanted, rtol=1e-3, atol=1e-4)
        with torch.autocast("cpu", torch.bfloat16):
            assert bool(model(x).isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_built_without_memory_on_meta(name: str) -> None:
    with torch.device("meta"):
        model = edgewise.create_model(name)
    assert sum(p.numel() for p in model.parameters()) == CATALOGUE[name].params
