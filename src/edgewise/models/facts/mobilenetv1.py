"""MobileNetV1's figures."""

from __future__ import annotations

from functools import partial

from edgewise.models.facts.entry import Entry
from edgewise.models.facts.sources import timm_result

PAPER = "MobileNetV1, arXiv 1704.04861, Table 6"

_entry = partial(Entry, family="mobilenetv1", source=PAPER)

ENTRIES = (
    _entry(
        name="mobilenetv1_025",
        paper_name="MobileNetV1 0.25",
        img_size=224,
        params=470_072,
        params_fused=467_336,
        macs=41_030_272,
        macs_fused=41_030_272,
        top1=0.506,
    ),
    _entry(
        name="mobilenetv1_050",
        paper_name="MobileNetV1 0.5",
        img_size=224,
        params=1_331_592,
        params_fused=1_326_120,
        macs=149_497_088,
        macs_fused=149_497_088,
        top1=0.637,
    ),
    _entry(
        name="mobilenetv1_075",
        paper_name="MobileNetV1 0.75",
        img_size=224,
        params=2_585_560,
        params_fused=2_577_352,
        macs=325_400_448,
        macs_fused=325_400_448,
        top1=0.684,
    ),
    _entry(
        name="mobilenetv1_100",
        paper_name="MobileNetV1 1.0",
        img_size=224,
        params=4_231_976,
        params_fused=4_221_032,
        macs=568_740_352,
        macs_fused=568_740_352,
        top1=0.706,
    ),
    _entry(
        name="mobilenetv1_100h",
        paper_name="MobileNetV1 1.0, wide head",
        img_size=224,
        params=5_282_600,
        params_fused=5_270_632,
        macs=620_120_576,
        macs_fused=620_120_576,
        top1=0.75664,
        source=timm_result("ra4_e3600_r224_in1k"),
    ),
    _entry(
        name="mobilenetv1_125",
        paper_name="MobileNetV1 1.25",
        img_size=224,
        params=6_270_840,
        params_fused=6_257_160,
        macs=879_516_800,
        macs_fused=879_516_800,
        top1=0.7692,
        source=timm_result("ra4_e3600_r224_in1k"),
    ),
)
