"""The surface of built models."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch

import edgewise
from edgewise.errors import ConfigError, UnknownNameError
from edgewise.models.build import BLOCKS, build
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.families.mobilenetv4 import CONV_SMALL
from edgewise.spec.scale import fit_resolution, scale_width

TINY = fit_resolution(scale_width(CONV_SMALL, 0.25).model_copy(update={"num_classes": 4}), 32)


def test_row_fields_are_constructor_arguments() -> None:
    for row, block in BLOCKS.items():
        fields = set(row.model_fields) - {"kind"}
        assert fields <= set(inspect.signature(block).parameters), row.__name__


def test_unknown_model_is_suggested() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown model 'mobilenetv4_conv_smal'; did you mean 'mobilenetv4_conv_small'"
    ):
        edgewise.create_model("mobilenetv4_conv_smal")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": -1}, "num_classes"),
        ({"in_chans": 0}, "in_chans"),
        ({"drop_rate": 1.0}, "drop_rate is 1.0; must lie within 0 and 1"),
        ({"drop_path_rate": -0.1}, "drop_path_rate is -0.1"),
        ({"out_indices": (0,)}, "out_indices needs features_only=True"),
        ({"features_only": True, "out_indices": (5,)}, "accepted: distinct indices within 0 and 4"),
        ({"features_only": True, "out_indices": ()}, "accepted: distinct indices"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edgewise.create_model("mobilenetv4_conv_small", **arguments)


def test_every_parameter_gets_a_gradient() -> None:
    model = edgewise.create_model("mobilenetv4_hybrid_medium", num_classes=3, drop_rate=0.1, drop_path_rate=0.1)
    model(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_classifier_can_be_reset_and_removed() -> None:
    model = build(TINY).eval()
    x = torch.randn(2, 3, 32, 32)
    model.reset_classifier(9)
    assert model(x).shape == (2, 9)
    assert model.spec.num_classes == 9
    model.reset_classifier(0)
    assert torch.equal(model(x), model.forward_head(model.forward_features(x), pre_logits=True))
    with pytest.raises(ConfigError, match="num_classes is -3"):
        model.reset_classifier(-3)


def test_no_classes_from_the_start() -> None:
    model = edgewise.create_model("mobilenetv4_conv_small", num_classes=0, in_chans=1)
    assert model(torch.randn(1, 1, 64, 64).expand(2, 1, 64, 64)).shape == (2, 1280)


def test_out_indices_choose_and_cut() -> None:
    model = edgewise.create_model("mobilenetv4_conv_small", features_only=True, out_indices=(1, -2))
    assert model.feature_info.reduction() == [4, 16]
    assert [tuple(f.shape[1:]) for f in model(torch.zeros(2, 3, 64, 64))] == [(32, 16, 16), (96, 4, 4)]
    assert len(model.blocks) == 3


def test_drop_path_follows_timms_schedule() -> None:
    model = edgewise.create_model("mobilenetv4_conv_medium", drop_path_rate=0.5)
    rates = [m.drop_path.rate for m in model.modules() if hasattr(m, "drop_path")]
    assert rates[0] == 0.0
    assert rates == sorted(rates)
    assert max(rates) < 0.5


def test_copies_and_pickles() -> None:
    model = build(TINY).eval()
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_fresh_weights_follow_the_global_generator() -> None:
    torch.manual_seed(3)
    first = build(TINY).state_dict()
    torch.manual_seed(3)
    second = build(TINY).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_pretrained_cfg_describes_the_input() -> None:
    cfg = edgewise.create_model("mobilenetv4_conv_medium").pretrained_cfg
    assert cfg["input_size"] == (3, 256, 256)
    assert cfg["classifier"] == "classifier"


def test_import_is_light() -> None:
    import subprocess
    import sys

    code = "import sys, edgewise; edgewise.list_models('*'); print(sorted({'torch', 'pydantic', 'numpy'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_catalogue_is_read_only() -> None:
    with pytest.raises(TypeError):
        CATALOGUE["x"] = None  # type: ignore[index]
