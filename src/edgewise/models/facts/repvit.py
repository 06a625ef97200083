"""RepViT's figures."""

from __future__ import annotations

from functools import partial

from edgewise.models.facts.entry import Entry

RELEASED = "RepViT's released code (THU-MIG/RepViT, commit 298f420), README: 300 epochs, distilled from RegNetY-16GF"
FIRST_VERSION = (
    "RepViT's released code (THU-MIG/RepViT, commit 8df4270), README: 300 epochs, distilled from RegNetY-16GF"
)

_entry = partial(Entry, family="repvit", source=RELEASED)

ENTRIES = (
    _entry(
        name="repvit_m0_6",
        paper_name="RepViT-M0.6",
        img_size=224,
        params=2_808_932,
        params_fused=2_468_072,
        macs=386_059_360,
        macs_fused=385_065_120,
        top1=0.741,
    ),
    _entry(
        name="repvit_m0_9",
        paper_name="RepViT-M0.9",
        img_size=224,
        params=5_489_328,
        params_fused=5_067_056,
        macs=817_280_832,
        macs_fused=815_617_344,
        top1=0.787,
    ),
    _entry(
        name="repvit_m1_0",
        paper_name="RepViT-M1.0",
        img_size=224,
        params=7_302_796,
        params_fused=6_810_312,
        macs=1_108_077_600,
        macs_fused=1_106_136_864,
        top1=0.8,
    ),
    _entry(
        name="repvit_m1_1",
        paper_name="RepViT-M1.1",
        img_size=224,
        params=8_802_912,
        params_fused=8_244_312,
        macs=1_339_242_240,
        macs_fused=1_337_124_608,
        top1=0.807,
    ),
    _entry(
        name="repvit_m1_5",
        paper_name="RepViT-M1.5",
        img_size=224,
        params=14_644_432,
        params_fused=14_049_992,
        macs=2_276_968_192,
        macs_fused=2_273_596_160,
        top1=0.823,
    ),
    _entry(
        name="repvit_m2_3",
        paper_name="RepViT-M2.3",
        img_size=224,
        params=23_688_792,
        params_fused=22_926_792,
        macs=4_521_490_880,
        macs_fused=4_515_958_720,
        top1=0.833,
    ),
    _entry(
        name="repvit_m1",
        paper_name="RepViT-M1",
        img_size=224,
        params=5_485_248,
        params_fused=5_067_056,
        macs=817_280_832,
        macs_fused=815_617_344,
        top1=0.785,
        source=FIRST_VERSION,
    ),
    _entry(
        name="repvit_m2",
        paper_name="RepViT-M2",
        img_size=224,
        params=8_797_984,
        params_fused=8_244_312,
        macs=1_339_242_240,
        macs_fused=1_337_124_608,
        top1=0.806,
        source=FIRST_VERSION,
    ),
    _entry(
        name="repvit_m3",
        paper_name="RepViT-M3",
        img_size=224,
        params=10_682_832,
        params_fused=10_115_720,
        macs=1_862_184_704,
        macs_fused=1_859_163_904,
        top1=0.814,
        source=FIRST_VERSION,
    ),
)
