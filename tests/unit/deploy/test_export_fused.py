"""What export writes of a re-parameterisable network is its deployed form, whatever form is handed in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from tests.conftest import randomise
from tests.tiny_reparam import TINY_MOBILEONE, TINY_REPVGG, TINY_REPVIT
from torch import nn

from edgewise.deploy.export import export
from edgewise.models.build import build
from edgewise.spec.model import ModelSpec

# layers, squeeze-and-excitation; layers of three blocks, one with it; stem, blocks, squeeze-and-excitation, downsampling block
CONVOLUTIONS = (
    (TINY_REPVGG, 4 + 2),
    (TINY_MOBILEONE, 1 + 3 * 2 + 2 * 2),
    (TINY_REPVIT, 2 + 3 * 3 + 2 + (3 + 2 + 2)),
)


def operators(program: torch.export.ExportedProgram) -> Counter[str]:
    names = (node.target for node in program.graph.nodes if node.op == "call_function")
    return Counter(str(getattr(target, "overloadpacket", target)) for target in names)


@pytest.mark.parametrize(("spec", "num_convs"), CONVOLUTIONS, ids=lambda value: getattr(value, "name", ""))
def test_training_form_is_exported_folded(spec: ModelSpec, num_convs: int, tmp_path: Path) -> None:
    model = randomise(build(spec)).double().train()
    if spec is TINY_REPVIT:
        model.set_distilled_training(True)
    artifact = export(model, tmp_path / "out", format="pt2")
    found = operators(torch.export.load(tmp_path / "out" / artifact.files[0]))
    assert found["aten.conv2d"] == num_convs
    assert found["aten.linear"] == 1
    assert not [operator for operator in found if "norm" in operator]
    assert model.training
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_the_training_form_itself_would_show() -> None:
    model = build(TINY_REPVGG).eval()
    found = operators(torch.export.export(model, (torch.zeros(1, 3, 32, 32),)))
    assert found["aten.conv2d"] == 4 * 2 + 2
    assert sum(count for operator, count in found.items() if "norm" in operator) == 4 * 2 + 1
