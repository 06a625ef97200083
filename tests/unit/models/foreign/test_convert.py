import pytest
import torch
import torchvision
from tests.conftest import randomise
from tests.unit.models.tiny_specs import ALL, FORMER, MOBILEONE, REPVGG, REPVIT, V2, V3
from torch import nn

import edgewise
from edgewise.errors import UnknownNameError, WeightsError
from edgewise.models.build import build
from edgewise.models.families import mobilenetv3


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_our_own_layout_is_the_state_dict(spec):
    network = build(spec)
    given = edgewise.convert_state_dict(network, "authors" if spec is FORMER else "timm")
    assert given.keys() == network.state_dict().keys()
    assert all(torch.equal(given[name], value) for name, value in network.state_dict().items())
    assert not any(value.requires_grad for value in given.values())


@pytest.mark.parametrize(
    ("spec", "layout", "accepted"),
    [
        (V2, "authors", "'timm', 'torchvision'"),
        (REPVGG, "torchvision", "'timm', 'authors'"),
        (MOBILEONE, "torchvision", "'timm', 'authors'"),
        (REPVIT, "torchvision", "'timm', 'authors'"),
        (FORMER, "timm", "'authors'"),
    ],
)
def test_a_layout_that_a_network_does_not_have_is_refused(spec, layout, accepted):
    with pytest.raises(WeightsError) as caught:
        edgewise.convert_state_dict(build(spec), layout)
    assert str(caught.value) == f"{spec.name} has no form in the layout '{layout}'; accepted: {accepted}"


def test_an_unknown_layout_is_refused():
    with pytest.raises(UnknownNameError, match="unknown layout 'torchvison'; did you mean 'torchvision'"):
        edgewise.convert_state_dict(build(V2), "torchvison")


def test_what_is_no_network_is_refused():
    with pytest.raises(WeightsError, match=r"a Linear has no public layout; accepted: what create_model\(\) builds"):
        edgewise.convert_state_dict(nn.Linear(2, 2), "timm")


@pytest.mark.parametrize("spec", [V2, V3], ids=lambda spec: spec.name)
def test_a_fused_network_has_no_form_in_torchvision(spec):
    with pytest.raises(WeightsError, match=f"{spec.name} is fused, and torchvision's MobileNetV. has no fused form"):
        edgewise.convert_state_dict(build(spec).fuse(), "torchvision")


def test_a_part_that_the_layout_does_not_have_is_named():
    with pytest.raises(WeightsError, match=r"torchvision's MobileNetV2 has nothing like 'act1.weight'"):
        edgewise.convert_state_dict(build(V2.model_copy(update={"act": "prelu"})), "torchvision")


def test_another_eps_is_made_up_for():
    spec = mobilenetv3.SPECS["mobilenetv3_small_100"].model_copy(update={"num_classes": 5})
    assert spec.norm.eps == 1e-5
    ours = randomise(build(spec).double()).eval()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    theirs = torchvision.models.mobilenet_v3_small(num_classes=5).double().eval()
    theirs.load_state_dict(edgewise.convert_state_dict(ours, "torchvision"))
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.inference_mode():
        assert (theirs(x) - ours(x)).abs().max() <= 1e-11 * ours(x).abs().max()
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
