"""MobileNetV3's figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from edgewise.models.facts.entry import Entry
from edgewise.models.facts.sources import timm_result, torchvision_result

PAPER = "MobileNetV3, arXiv 1905.02244, Table 3"
SLIM = "tensorflow/models, research/slim/nets/mobilenet/README.md, V3 minimalistic"

_entry = partial(Entry, family="mobilenetv3", source=PAPER)

LARGE_075 = _entry(
    name="mobilenetv3_large_075",
    paper_name="MobileNetV3-Large 0.75",
    img_size=224,
    params=3_993_528,
    params_fused=3_983_984,
    macs=154_560_624,
    macs_fused=154_560_624,
    top1=0.733,
)
LARGE_100 = _entry(
    name="mobilenetv3_large_100",
    paper_name="MobileNetV3-Large 1.0",
    img_size=224,
    params=5_483_032,
    params_fused=5_470_832,
    macs=216_589_760,
    macs_fused=216_589_760,
    top1=0.752,
)
SMALL_075 = _entry(
    name="mobilenetv3_small_075",
    paper_name="MobileNetV3-Small 0.75",
    img_size=224,
    params=2_041_872,
    params_fused=2_037_032,
    macs=43_399_344,
    macs_fused=43_399_344,
    top1=0.654,
)
SMALL_100 = _entry(
    name="mobilenetv3_small_100",
    paper_name="MobileNetV3-Small 1.0",
    img_size=224,
    params=2_542_856,
    params_fused=2_536_800,
    macs=56_510_400,
    macs_fused=56_510_400,
    top1=0.674,
)
LARGE_MINIMAL = _entry(
    name="mobilenetv3_large_minimal_100",
    paper_name="MobileNetV3-Large minimalistic",
    img_size=224,
    params=3_924_288,
    params_fused=3_912_088,
    macs=209_136_704,
    macs_fused=209_136_704,
    top1=0.723,
    source=SLIM,
)
SMALL_MINIMAL = _entry(
    name="mobilenetv3_small_minimal_100",
    paper_name="MobileNetV3-Small minimalistic",
    img_size=224,
    params=2_044_736,
    params_fused=2_038_680,
    macs=52_288_448,
    macs_fused=52_288_448,
    top1=0.619,
    source=SLIM,
)

ENTRIES = (
    _entry(
        name="mobilenetv3_large_050",
        paper_name="MobileNetV3-Large 0.5",
        img_size=224,
        params=2_689_904,
        params_fused=2_683_600,
        macs=73_663_088,
        macs_fused=73_663_088,
        top1=0.692,
        source="MobileNetV4, arXiv 2404.10518v2, Table 6 (the authors' own retraining)",
    ),
    LARGE_075,
    LARGE_100,
    _entry(
        name="mobilenetv3_large_150d",
        paper_name="MobileNetV3-Large 1.5, deeper",
        img_size=256,
        params=14_622_320,
        params_fused=14_595_584,
        macs=1_010_021_120,
        macs_fused=1_010_021_120,
        top1=0.80994,
        source=timm_result("ra4_e3600_r256_in1k"),
    ),
    _entry(
        name="mobilenetv3_small_050",
        paper_name="MobileNetV3-Small 0.5",
        img_size=224,
        params=1_593_224,
        params_fused=1_589_976,
        macs=24_188_688,
        macs_fused=24_188_688,
        top1=0.57918,
        source=timm_result("lamb_in1k"),
    ),
    SMALL_075,
    SMALL_100,
    LARGE_MINIMAL,
    SMALL_MINIMAL,
    _entry(
        name="mobilenetv3_rw",
        paper_name="MobileNetV3-Large 1.0 (RW)",
        img_size=224,
        params=5_479_918,
        params_fused=5_467_718,
        macs=216_587_936,
        macs_fused=216_587_936,
        top1=0.75616,
        source=timm_result("rmsp_in1k"),
    ),
    replace(LARGE_075, name="tf_mobilenetv3_large_075", paper_name="MobileNetV3-Large 0.75 (TF)"),
    replace(LARGE_100, name="tf_mobilenetv3_large_100", paper_name="MobileNetV3-Large 1.0 (TF)"),
    replace(LARGE_MINIMAL, name="tf_mobilenetv3_large_minimal_100", paper_name="MobileNetV3-Large minimalistic (TF)"),
    replace(SMALL_075, name="tf_mobilenetv3_small_075", paper_name="MobileNetV3-Small 0.75 (TF)"),
    replace(SMALL_100, name="tf_mobilenetv3_small_100", paper_name="MobileNetV3-Small 1.0 (TF)"),
    replace(SMALL_MINIMAL, name="tf_mobilenetv3_small_minimal_100", paper_name="MobileNetV3-Small minimalistic (TF)"),
    replace(
        LARGE_100,
        name="mobilenet_v3_large",
        paper_name="MobileNetV3-Large 1.0 (torchvision)",
        top1=0.74042,
        source=torchvision_result("IMAGENET1K_V1"),
    ),
    replace(
        SMALL_100,
        name="mobilenet_v3_small",
        paper_name="MobileNetV3-Small 1.0 (torchvision)",
        top1=0.67668,
        source=torchvision_result("IMAGENET1K_V1"),
    ),
)
