from __future__ import annotations

import dataclasses

import pytest
import timm
import torchvision
from timm.models import get_pretrained_cfg
from timm.models._registry import _model_default_cfgs

import edgewise
from edgewise.errors import UnknownNameError
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.pretrained import Tag, find_tag, has_pretrained, list_pretrained, tags_of

TIMMS = sorted(CATALOGUE.keys() & set(timm.list_models()))


@pytest.mark.parametrize("name", TIMMS)
def test_every_tag_of_timms_is_known_in_its_order(name: str) -> None:
    ours = [tag for tag in tags_of(name) if not tag.tag.startswith("authors_")]
    assert [tag.tag for tag in ours] == list(_model_default_cfgs[name].tags)
    for tag in ours:
        theirs = get_pretrained_cfg(f"{name}.{tag.tag}")
        assert (tag.hf_hub_id or None) == theirs.hf_hub_id
        assert (tag.license, tag.num_classes) == (theirs.license, theirs.num_classes)
        assert (3, tag.img_size, tag.img_size) == theirs.input_size
        assert (tag.test_img_size and (3, tag.test_img_size, tag.test_img_size)) == theirs.test_input_size
        assert (tag.crop_pct, tag.test_crop_pct) == (theirs.crop_pct, theirs.test_crop_pct)
        assert (tag.interpolation, tag.mean, tag.std) == (theirs.interpolation, theirs.mean, theirs.std)
        assert theirs.crop_mode == "center"
        assert tag.has_weights == bool(theirs.has_weights)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"])
def test_every_weight_of_torchvisions_is_known(name: str) -> None:
    theirs = torchvision.models.get_model_weights(name)
    tags = {tag.tag: tag for tag in tags_of(name)}
    assert tags.keys() == {weights.name for weights in theirs}
    assert next(iter(tags)) == theirs.DEFAULT.name
    for weights in theirs:
        tag, transform = tags[weights.name], weights.transforms()
        assert tag.url == weights.url
        assert weights.url.endswith(f"/{tag.file}")
        assert tag.preprocessing().resize_side == transform.resize_size[0]
        assert (tag.img_size, tag.interpolation) == (transform.crop_size[0], transform.interpolation.value)
        assert (list(tag.mean), list(tag.std)) == (transform.mean, transform.std)
        accuracy = weights.meta["_metrics"]["ImageNet-1K"]
        assert (tag.top1, tag.top5) == pytest.approx((accuracy["acc@1"] / 100, accuracy["acc@5"] / 100))


def test_every_tag_is_of_the_catalogue_and_sound() -> None:
    for full_name in list_pretrained():
        model, _, name = full_name.partition(".")
        assert model in CATALOGUE
        tag = find_tag(model, name)
        assert tag.name == full_name
        assert tag.license, full_name
        assert tag.hf_hub_id or (tag.file and tag.url), full_name
        for top1, top5 in ((tag.top1, tag.top5), (tag.test_top1, tag.test_top5)):
            assert top1 is None or 0.5 < top1 < 0.9
            assert top5 is None or top1 < top5 < 1
        assert (tag.top1 is None) == (tag.source == ""), full_name
        # what was trained on other classes has no ImageNet-1k accuracy; all else that can be had has one
        assert (tag.top1 is None) == (tag.num_classes != 1000), full_name


def test_the_authors_files_are_listed() -> None:
    former = find_tag("mobileformer_294m", "authors_in1k")
    assert former == Tag(
        model="mobileformer_294m",
        tag="authors_in1k",
        file="mobile-former-294m.pth.tar",
        url="https://github.com/AAboys/MobileFormer",
        license="none stated in the repository",
        interpolation="bilinear",
        top1=0.779,
        source="README of AAboys/MobileFormer",
    )
    assert find_tag("mobileone_s4", "authors_in1k").license == "mobileone-license"
    assert find_tag("repvgg_b3g4", "authors_200e_in1k").file == "RepVGG-B3g4-200epochs-train.pth"
    assert find_tag("repvit_m0_6", "authors_dist_300e_in1k").top1 == 0.741


def test_names_are_listed_by_pattern() -> None:
    assert edgewise.list_pretrained("mobilenetv4_conv_small.*") == [
        "mobilenetv4_conv_small.e2400_r224_in1k",
        "mobilenetv4_conv_small.e1200_r224_in1k",
        "mobilenetv4_conv_small.e3600_r256_in1k",
    ]
    assert "mobilenetv2_035.untrained" not in edgewise.list_pretrained()
    assert edgewise.is_model("mobilenetv2_035")
    assert not edgewise.is_model("mobilenetv2_035.untrained")
    assert not has_pretrained("mobilenetv2_035")


def test_models_are_listed_by_pattern() -> None:
    assert edgewise.list_models("mobilenetv4_hybrid*", exclude_filters="*_075") == [
        "mobilenetv4_hybrid_large",
        "mobilenetv4_hybrid_medium",
    ]
    assert edgewise.list_models("nothing*") == []
    assert edgewise.list_models("mobilenetv2_0*") == ["mobilenetv2_035", "mobilenetv2_050", "mobilenetv2_075"]
    assert edgewise.list_models("mobilenetv2_0*", pretrained=True) == ["mobilenetv2_050"]
    assert edgewise.list_models("mobilenetv2_0*", exclude_filters=["*35", "*75"]) == ["mobilenetv2_050"]


def test_unknown_tags_are_answered_with_the_known_ones() -> None:
    known = "accepted: e2400_r224_in1k, e1200_r224_in1k, e3600_r256_in1k"
    with pytest.raises(UnknownNameError, match=f"unknown weights 'mobilenetv4_conv_small.nothing'; {known}"):
        find_tag("mobilenetv4_conv_small", "nothing")
    with pytest.raises(UnknownNameError, match="did you mean 'e2400_r224_in1k'"):
        find_tag("mobilenetv4_conv_small", "e2400_r224")
    with pytest.raises(UnknownNameError, match="none were published for 'mobilenetv1_025'"):
        find_tag("mobilenetv1_025", "in1k")


def test_tags_are_read_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        tags_of("mobilenetv4_conv_small")[0].top1 = 1.0  # type: ignore[misc]


def test_listing_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, edgewise; edgewise.list_pretrained(); edgewise.list_models(pretrained=True); "
        "print(sorted({'torch', 'pydantic', 'numpy', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
