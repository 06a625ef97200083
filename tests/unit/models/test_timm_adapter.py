"""timm's models under ``timm:NAME``."""

from __future__ import annotations

import copy
import pickle
import sys

import pytest
import torch

import edgewise
from edgewise.errors import ConfigError, MissingExtraError, UnknownNameError, WeightsError
from edgewise.models.timm_adapter import create_timm_model, native_size, preprocessing_of
from edgewise.records.artifact import Preprocessing

PUBLISHED = {
    # MACs in millions as printed (facts/published_results.yaml, facts/mnv4_latency.yaml) and to how many of them they are rounded
    "fastvit_t8": (700, 100),
    "efficientnet_b0": (390, 10),
    "efficientvit_m0": (79, 1),
    "levit_128s": (305, 1),
    "convnext_tiny": (4500, 100),
    "swin_tiny_patch4_window7_224": (4500, 100),
}
PEERS = (
    *PUBLISHED,
    *("ghostnet_100", "efficientvit_b0", "mobilevit_xxs", "mobilevitv2_050", "efficientformerv2_s0", "efficientformer_l1", "mnasnet_100"),
    *("convnext_atto", "deit_tiny_patch16_224", "nextvit_small", "edgenext_xx_small", "swiftformer_xs", "ghostnetv2_100"),
)  # fmt: skip


def test_what_edgewise_asks_of_a_module() -> None:
    model = create_timm_model("timm:mobilenetv3_small_050.lamb_in1k", num_classes=4)
    assert (model.name, model.in_chans, model.num_classes) == ("mobilenetv3_small_050.lamb_in1k", 3, 4)
    assert model.preprocessing == Preprocessing(img_size=224, crop_pct=0.875, interpolation="bicubic")
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        wanted = model.eval()(x)
        assert wanted.shape == (1, 4)
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(twin(x), wanted)
            assert twin.preprocessing == model.preprocessing
    assert edgewise.count(model).input_shape == (1, 3, 224, 224)
    assert edgewise.count(model).model == "mobilenetv3_small_050.lamb_in1k"


def test_through_create_model() -> None:
    model = edgewise.create_model(
        "timm:mobilenetv3_small_050", num_classes=0, in_chans=1, drop_rate=0.1, drop_path_rate=0.1
    )
    assert model.eval()(torch.rand(1, 1, 64, 64)).shape == (1, 1024)
    assert model.preprocessing.mean == pytest.approx((0.449,))
    pyramid = edgewise.create_model("timm:mobilenetv3_small_050", features_only=True, out_indices=(1, 2))
    assert [each.shape[-1] for each in pyramid.eval()(torch.rand(1, 3, 64, 64))] == [16, 8]


def test_other_sizes() -> None:
    assert native_size("timm:fastvit_t8") == 256
    swin = create_timm_model("swin_tiny_patch4_window7_224", img_size=112, num_classes=2)
    assert swin.eval()(torch.rand(1, 3, 112, 112)).shape == (1, 2)
    assert swin.preprocessing.img_size == 112
    free = create_timm_model("mobilenetv3_small_050", img_size=96)
    assert free.preprocessing.img_size == 96


@pytest.mark.parametrize("name", PEERS)
def test_peers_are_counted_completely(name: str) -> None:
    with torch.device("meta"):
        model = create_timm_model(name)
        report = edgewise.count(edgewise.fuse(model))
    assert report.complete, report.unknown
    if name in PUBLISHED:
        published, step = PUBLISHED[name]
        assert abs(report.macs / 1e6 - published) <= step / 2 + step / 20


def test_counting_leaves_no_trace() -> None:
    # timm's attention caches its biases in eval mode
    model = create_timm_model("levit_128s", num_classes=2).eval()
    x = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        wanted = copy.deepcopy(model)(x)
        edgewise.count(model)
        assert torch.equal(model(x), wanted)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "says"),
    [
        ("timm:fastvit_t9", {}, UnknownNameError, "unknown timm model 'fastvit_t9'; did you mean 'fastvit_t8'?"),
        ("fastvit_t8.apple", {}, UnknownNameError, "unknown tag of timm's fastvit_t8 'apple'; did you mean 'apple_in1k'?"),
        ("mobilenetv2_035.x", {}, UnknownNameError, "unknown tag 'x'; timm has no weights of mobilenetv2_035"),
        ("vgg11", {"drop_path_rate": 0.1}, ConfigError, "timm's vgg11 cannot be built as asked for: "),
        ("fastvit_t8", {"out_indices": (0,)}, ConfigError, "out_indices needs features_only=True"),
        ("mobilenetv2_035", {"pretrained": True}, WeightsError, "timm's mobilenetv2_035 cannot be built as asked for: "),
    ],
)  # fmt: skip
def test_what_is_refused(name: str, arguments: dict[str, object], error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        create_timm_model(name, **arguments)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"^'timm:fastvit_t8' needs timm: install edgewise\[timm\]$"):
        edgewise.create_model("timm:fastvit_t8")


def test_preparation_that_edgewise_does_not_do() -> None:
    cfg = {"input_size": (3, 64, 64), "crop_pct": 1.0, "interpolation": "bicubic", "mean": (0, 0, 0), "std": (1, 1, 1)}
    assert preprocessing_of(cfg) == Preprocessing(img_size=64, crop_pct=1.0, mean=(0, 0, 0), std=(1, 1, 1))
    assert preprocessing_of(cfg | {"crop_mode": "squash"}) is None
    assert preprocessing_of(cfg | {"interpolation": "nearest"}) is None
