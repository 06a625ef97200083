"""MobileNetV4's figures."""

from __future__ import annotations

from functools import partial

from edgewise.models.facts.entry import Entry

PAPER = "MobileNetV4, arXiv 2404.10518v2, Table 6 (ImageNet-1k only, no distillation)"

_entry = partial(Entry, family="mobilenetv4", source=PAPER)

ENTRIES = (
    _entry(
        name="mobilenetv4_conv_small",
        paper_name="MNv4-Conv-S",
        img_size=224,
        params=3_774_024,
        params_fused=3_761_480,
        macs=186_005_568,
        macs_fused=186_005_568,
        top1=0.738,
    ),
    _entry(
        name="mobilenetv4_conv_medium",
        paper_name="MNv4-Conv-M",
        img_size=256,
        params=9_715_512,
        params_fused=9_681_560,
        macs=1_080_244_224,
        macs_fused=1_080_244_224,
        top1=0.799,
    ),
    _entry(
        name="mobilenetv4_hybrid_medium",
        paper_name="MNv4-Hybrid-M",
        img_size=256,
        params=11_074_648,
        params_fused=11_033_880,
        macs=1_271_183_360,
        macs_fused=1_271_183_360,
        top1=0.807,
    ),
    _entry(
        name="mobilenetv4_conv_large",
        paper_name="MNv4-Conv-L",
        img_size=384,
        params=32_590_864,
        params_fused=32_516_088,
        macs=6_376_220_672,
        macs_fused=6_376_220_672,
        top1=0.829,
    ),
    _entry(
        name="mobilenetv4_hybrid_large",
        paper_name="MNv4-Hybrid-L",
        img_size=384,
        params=37_764_624,
        params_fused=37_675_768,
        macs=7_711_877_120,
        macs_fused=7_711_877_120,
        top1=0.834,
    ),
)
