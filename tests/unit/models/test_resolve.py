"""From what a person typed to a model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgewise.errors import InputError, SpecError, UnknownNameError, WeightsError
from edgewise.models.resolve import is_model_name, resolve

SMALL = "mobilenetv4_conv_small"
TINY = "img_size: 12\nstem: {kind: conv, out_chs: 8, stride: 2}\nstages: [[{kind: uib, out_chs: 8, stride: 2}]]\n"


def test_a_name_with_and_without_a_tag() -> None:
    plain, tagged = resolve(SMALL), resolve(f"{SMALL}.e3600_r256_in1k")
    assert (plain.name, plain.img_size, plain.tag, plain.names_weights) == (SMALL, 224, None, False)
    assert (tagged.name, tagged.img_size, tagged.names_weights) == (SMALL, 256, True)
    assert tagged.entry is plain.entry
    assert tagged.tag is not None
    assert tagged.tag.license == "apache-2.0"


def test_a_file_keeps_its_strides_at_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    source = resolve(str(path))
    assert (source.name, source.img_size, source.entry, source.names_weights) == ("tiny", 12, None, False)
    assert source.build().feature_info.reduction() == [2, 4]
    assert source.build(10).feature_info.reduction() == [1, 2], "other sizes must not end in a map below 4x4"
    assert source.build().eval()(torch.rand(1, 3, 12, 12)).shape == (1, 1000)


def test_a_model_of_timms() -> None:
    source = resolve("timm:mobilenetv3_small_050")
    assert (source.name, source.img_size, source.spec, source.names_weights) == (
        "mobilenetv3_small_050",
        224,
        None,
        False,
    )
    assert resolve("timm:mobilenetv3_small_050.lamb_in1k").names_weights


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("mobilenetv4_conv_smal", UnknownNameError, "did you mean 'mobilenetv4_conv_small'?"),
        (f"{SMALL}.e3600", UnknownNameError, f"unknown weights '{SMALL}.e3600'"),
        ("timm:mobilenetv3_smal_050", UnknownNameError, "did you mean 'mobilenetv3_small_050'?"),
        ("net.onnx", InputError, "'net.onnx' is no model; accepted: a name of edgewise list, NAME.TAG, FILE.yaml, timm:NAME"),
        ("none.yaml", SpecError, "'none.yaml' cannot be read: No such file or directory"),
        ("", UnknownNameError, "unknown model ''"),
    ],
)  # fmt: skip
def test_what_is_none(given: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error) as caught:
        resolve(given)
    assert says in str(caught.value)


def test_what_is_meant_as_a_model() -> None:
    assert all(map(is_model_name, (SMALL, f"{SMALL}.x", "my.yaml", "timm:x", "hf-hub:a/b", "local-dir:x")))
    assert not any(map(is_model_name, ("runs/fit", "runs/fit/weights/best.safetensors", "a.onnx", "mobilenetv4")))


def test_rows() -> None:
    assert resolve(f"{SMALL}.e3600_r256_in1k").rows("training").name == SMALL
    with pytest.raises(
        InputError, match=r"^'timm:resnet18' is timm's and has no rows, which training needs; accepted: "
    ):
        resolve("timm:resnet18").rows("training")


def test_where_weights_come_from(tmp_path: Path) -> None:
    assert resolve(f"{SMALL}.e3600_r256_in1k").weights_source() == f"hf-hub:timm/{SMALL}.e3600_r256_in1k"
    assert resolve(SMALL).weights_source() == f"hf-hub:timm/{SMALL}.e2400_r224_in1k", "the first choice"
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    with pytest.raises(WeightsError, match=r"no weights were published for '.*tiny.yaml'; give a file"):
        resolve(str(path)).weights_source()
