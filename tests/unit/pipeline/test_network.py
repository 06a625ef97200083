"""A model's rows as a run needs them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgewise.errors import ConfigError, InputError, SpecError
from edgewise.models.build import build
from edgewise.models.catalogue import FAMILIES
from edgewise.pipeline.network import network_spec
from edgewise.pipeline.settings import resolve_config


@pytest.mark.parametrize("name", [entries[0].name for entries in FAMILIES.values()])
def test_a_member_of_every_family_takes_small_pictures_and_few_classes(name: str) -> None:
    spec = network_spec(name, img_size=32, num_classes=4)
    with torch.device("meta"):
        assert build(spec).eval()(torch.empty(2, 3, 32, 32)).shape == (2, 4)


@pytest.mark.parametrize(
    "name", ["mobilenetv1_100", "mobilenetv3_large_100", "repvit_m0_9", "mobileone_s0", "repvgg_b1g4"]
)
def test_other_widths(name: str) -> None:
    whole = network_spec(name, img_size=32, num_classes=4)
    half = network_spec(name, img_size=32, num_classes=4, width_mult=0.5)
    with torch.device("meta"):
        counts = [sum(p.numel() for p in build(spec).parameters()) for spec in (half, whole)]
        assert build(half).eval()(torch.empty(2, 3, 32, 32)).shape == (2, 4)
    assert 0.15 < counts[0] / counts[1] < 0.45


def test_widths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"^mobileformer_52m has rows of Mobile-Former, which fix their inner widths; give a smaller"
    ):
        network_spec("mobileformer_52m", img_size=32, num_classes=4, width_mult=0.5)
    path = tmp_path / "groups.yaml"
    path.write_text(
        "stem: {kind: repvgg, out_chs: 32}\nstages: [[{kind: repvgg, out_chs: 32, groups: 32}]]\nhead: {kind: pool}\n"
    )
    wrong = r"width_mult is 0.75, at which groups does not fit together: stages\[0\]\[0\].groups is 32, which does not divide 24"
    with pytest.raises(SpecError, match=wrong):
        network_spec(str(path), img_size=32, num_classes=4, width_mult=0.75)
    # before the data set is read
    with pytest.raises(SpecError, match=wrong):
        resolve_config(
            str(path), img_size=32, num_images=9, recipe=None, overrides={"width_mult": 0.75, "device": "cpu"}
        )


def test_a_file_for_other_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grey.yaml"
    path.write_text("base: mobilenetv4_conv_small\nchanges: {in_chans: 1}\n")
    with pytest.raises(ConfigError, match=r"grey.yaml': in_chans is 1; training reads pictures of 3 channels"):
        network_spec(str(path), img_size=32, num_classes=4)
    assert network_spec(str(path), img_size=32, num_classes=4, in_chans=1).in_chans == 1


def test_what_cannot_be_trained() -> None:
    with pytest.raises(InputError, match=r"'timm:resnet18' is timm's and has no rows, which training needs"):
        resolve_config("timm:resnet18", img_size=None, num_images=9, recipe=None, overrides={})
