"""MobileNetV2's figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from edgewise.models.facts.entry import Entry
from edgewise.models.facts.sources import timm_result, torchvision_result

PAPER = "MobileNetV2, arXiv 1801.04381, section 6.1"
SLIM = "tensorflow/models, research/slim/nets/mobilenet/README.md, V2"

_entry = partial(Entry, family="mobilenetv2", source=PAPER)

MOBILENETV2_100 = _entry(
    name="mobilenetv2_100",
    paper_name="MobileNetV2 1.0",
    img_size=224,
    params=3_504_872,
    params_fused=3_487_816,
    macs=300_774_272,
    macs_fused=300_774_272,
    top1=0.72,
)

ENTRIES = (
    _entry(
        name="mobilenetv2_035",
        paper_name="MobileNetV2 0.35",
        img_size=224,
        params=1_677_128,
        params_fused=1_670_088,
        macs=59_285_808,
        macs_fused=59_285_808,
        top1=0.603,
        source=SLIM,
    ),
    _entry(
        name="mobilenetv2_050",
        paper_name="MobileNetV2 0.5",
        img_size=224,
        params=1_968_680,
        params_fused=1_959_408,
        macs=97_131_840,
        macs_fused=97_131_840,
        top1=0.654,
        source=SLIM,
    ),
    _entry(
        name="mobilenetv2_075",
        paper_name="MobileNetV2 0.75",
        img_size=224,
        params=2_636_424,
        params_fused=2_623_104,
        macs=209_069_792,
        macs_fused=209_069_792,
        top1=0.698,
        source=SLIM,
    ),
    MOBILENETV2_100,
    _entry(
        name="mobilenetv2_130",
        paper_name="MobileNetV2 1.3",
        img_size=224,
        params=5_386_792,
        params_fused=5_364_664,
        macs=509_374_560,
        macs_fused=509_374_560,
        top1=0.744,
        source=SLIM,
    ),
    _entry(
        name="mobilenetv2_140",
        paper_name="MobileNetV2 1.4",
        img_size=224,
        params=6_108_776,
        params_fused=6_084_808,
        macs=582_195_824,
        macs_fused=582_195_824,
        top1=0.747,
    ),
    _entry(
        name="mobilenetv2_110d",
        paper_name="MobileNetV2 1.1, deeper",
        img_size=224,
        params=4_516_520,
        params_fused=4_492_776,
        macs=430_516_080,
        macs_fused=430_516_080,
        top1=0.75056,
        source=timm_result("ra_in1k"),
    ),
    _entry(
        name="mobilenetv2_120d",
        paper_name="MobileNetV2 1.2, deeper",
        img_size=224,
        params=5_831_144,
        params_fused=5_799_256,
        macs=668_857_568,
        macs_fused=668_857_568,
        top1=0.773,
        source=timm_result("ra_in1k"),
    ),
    replace(
        MOBILENETV2_100,
        name="mobilenet_v2",
        paper_name="MobileNetV2 1.0 (torchvision)",
        top1=0.71878,
        source=torchvision_result("IMAGENET1K_V1"),
    ),
)
