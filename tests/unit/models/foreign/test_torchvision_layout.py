import pytest
import torchvision
from tests.unit.models.tiny_specs import V2, V3

from edgewise.models import catalogue
from edgewise.models.build import build
from edgewise.models.foreign.torchvision import TORCHVISION_V2, TORCHVISION_V3
from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.row import SESpec


@pytest.mark.parametrize(
    ("layout", "ours", "theirs"),
    [
        (TORCHVISION_V2, "mobilenetv2_100", "mobilenet_v2"),
        (TORCHVISION_V3, "mobilenetv3_large_100", "mobilenet_v3_large"),
        (TORCHVISION_V3, "mobilenetv3_small_100", "mobilenet_v3_small"),
    ],
)
def test_every_tensor_has_torchvisions_name_and_shape(layout, ours, theirs):
    spec = catalogue.find(ours).spec()
    renaming = layout.renaming(spec)
    wanted = {name: value.shape for name, value in getattr(torchvision.models, theirs)().state_dict().items()}
    given = {
        renaming.theirs(name): renaming.value_for_them(name, value).shape
        for name, value in build(spec).state_dict().items()
    }
    assert given == wanted
    assert all(renaming.theirs(renaming.ours(name)) == name for name in wanted)
    assert layout.matches(wanted)


def with_first_row(spec, **fields):
    (first, *rows), *stages = spec.stages
    return spec.model_copy(update={"stages": ((first.model_copy(update=fields), *rows), *stages)})


@pytest.mark.parametrize(
    "spec",
    [
        V2.model_copy(update={"padding": "same"}),
        V2.model_copy(update={"downsample": "avg"}),
        V2.model_copy(update={"head": ConvHeadSpec()}),
        with_first_row(V2, pw_act=True),
        with_first_row(V2, se=SESpec()),
        with_first_row(V2, skip=False),
        V3.model_copy(update={"padding": "same"}),
        V3.model_copy(update={"head": ConvHeadSpec(norm=False, bias=False)}),
        with_first_row(V3, se=SESpec(gate="sigmoid")),
        with_first_row(V3, se=SESpec(act="hard_swish")),
        with_first_row(V3, se=SESpec(place="out")),
    ],
)
def test_networks_that_torchvision_does_not_build_have_no_such_names(spec):
    assert TORCHVISION_V2.renaming(spec) is None
    assert TORCHVISION_V3.renaming(spec) is None


@pytest.mark.parametrize("name", ["mobilenetv1_100", "mobilenetv4_conv_small", "tf_mobilenetv3_small_100"])
def test_other_families_have_no_such_names(name):
    spec = catalogue.find(name).spec()
    assert TORCHVISION_V2.renaming(spec) is None
    assert TORCHVISION_V3.renaming(spec) is None


def test_v2_and_v3_are_told_apart():
    assert TORCHVISION_V2.renaming(V2) is not None
    assert TORCHVISION_V3.renaming(V2) is None
    assert TORCHVISION_V2.renaming(V3) is None
    assert not TORCHVISION_V2.matches(map(TORCHVISION_V3.renaming(V3).theirs, build(V3).state_dict()))
