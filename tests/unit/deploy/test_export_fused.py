"""What export writes of a re-parameterisable network is its deployed form, whatever form is handed in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from tests.conftest import randomise
from torch import nn

import edgewise
from edgewise.deploy.export import export
from edgewise.models.build import build
from edgewise.models.catalogue import CATALOGUE


def operators(program: torch.export.ExportedProgram) -> Counter[str]:
    names = (node.target for node in program.graph.nodes if node.op == "call_function")
    return Counter(str(getattr(target, "overloadpacket", target)) for target in names)


# convolutions: stem and 21 layers; stem and 2 x 21 units; stem 2, 11 blocks of 3, 6 of them with SE (2), 3 downsamplings of 3 + 2 + 2
@pytest.mark.parametrize(("name", "num_convs"), [("repvgg_a0", 22), ("mobileone_s0", 43), ("repvit_m0_6", 68)])
def test_training_form_is_exported_folded(name: str, num_convs: int, tmp_path: Path) -> None:
    spec = CATALOGUE[name].spec().model_copy(update={"num_classes": 5, "img_size": 64})
    model = randomise(build(spec)).train()
    if hasattr(model.head, "head_dist"):
        model.set_distilled_training(True)
    model.double()
    artifact = export(model, tmp_path / "out", format="pt2")
    program = torch.export.load(tmp_path / "out" / artifact.files[0])
    found = operators(program)
    assert found["aten.conv2d"] == num_convs
    assert found["aten.linear"] == 1
    assert not [operator for operator in found if "norm" in operator]
    assert model.training
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_operators_are_counted_as_they_are() -> None:
    """The training form itself shows its norms to the same count."""
    model = edgewise.create_model("repvgg_a0", num_classes=5).eval()
    found = operators(torch.export.export(model, (torch.zeros(1, 3, 64, 64),)))
    assert found["aten.conv2d"] == 44
    assert sum(count for operator, count in found.items() if "norm" in operator) == 44 + 17
