"""MobileOne's figures."""

from __future__ import annotations

from functools import partial

from edgewise.models.facts.entry import Entry

PAPER = "MobileOne, arXiv 2206.04040, Table 9"

_entry = partial(Entry, family="mobileone", source=PAPER)

ENTRIES = (
    _entry(
        name="mobileone_s0",
        paper_name="MobileOne-S0",
        img_size=224,
        params=5_293_272,
        params_fused=2_078_504,
        macs=1_051_935_232,
        macs_fused=275_110_400,
        top1=0.714,
    ),
    _entry(
        name="mobileone_s1",
        paper_name="MobileOne-S1",
        img_size=224,
        params=4_825_192,
        params_fused=4_764_840,
        macs=830_062_080,
        macs_fused=825_057_024,
        top1=0.759,
    ),
    _entry(
        name="mobileone_s2",
        paper_name="MobileOne-S2",
        img_size=224,
        params=7_884_648,
        params_fused=7_808_168,
        macs=1_304_027_392,
        macs_fused=1_298_426_496,
        top1=0.774,
    ),
    _entry(
        name="mobileone_s3",
        paper_name="MobileOne-S3",
        img_size=224,
        params=10_170_600,
        params_fused=10_078_312,
        macs=1_902_112_768,
        macs_fused=1_895_790_592,
        top1=0.781,
    ),
    _entry(
        name="mobileone_s4",
        paper_name="MobileOne-S4",
        img_size=224,
        params=14_951_248,
        params_fused=14_838_352,
        macs=2_986_802_432,
        macs_fused=2_979_269_760,
        top1=0.794,
    ),
)
