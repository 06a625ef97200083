import pytest
import torch

from edgewise.models.foreign.layout import Renaming

RENAMING = Renaming({"head": "linear", "head.dist": "second", "stages.0.1": "stage1.1"}, linear=frozenset({"head"}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("head.weight", "linear.weight"),
        ("head.dist.weight", "second.weight"),
        ("head.dist", "second"),
        ("stages.0.1.conv.bn.bias", "stage1.1.conv.bn.bias"),
    ],
)
def test_a_name_follows_its_longest_path_there_and_back(ours, theirs):
    assert RENAMING.theirs(ours) == theirs
    assert RENAMING.ours(theirs) == ours


@pytest.mark.parametrize("name", ["stages.0.10.weight", "headless.weight", "stages.0", "other", ""])
def test_names_of_no_module_have_no_other_name(name):
    assert RENAMING.theirs(name) is None
    assert RENAMING.ours(f"un{name}") is None


def test_the_weight_of_a_linear_layer_changes_its_shape_and_nothing_else_does():
    weight = torch.arange(6.0).view(2, 3)
    ours = RENAMING.value_for_us("head.weight", weight)
    assert ours.shape == (2, 3, 1, 1)
    assert torch.equal(RENAMING.value_for_them("head.weight", ours), weight)
    for name in ("head.bias", "head.dist.weight"):
        assert RENAMING.value_for_us(name, weight) is weight
    assert RENAMING.value_for_us("head.weight", weight[0]).shape == (3,)
