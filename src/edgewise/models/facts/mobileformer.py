"""Mobile-Former's figures."""

from __future__ import annotations

from functools import partial

from edgewise.models.facts.entry import Entry

AUTHORS = (
    "Mobile-Former, arXiv 2108.05895; accuracies as in the README of github.com/AAboys/MobileFormer (commit f447310)"
)
"""The published MACs, which give the members their names, are 2 to 9 % above these counts of convolutions and matrix products."""

_entry = partial(Entry, family="mobileformer", img_size=224, source=AUTHORS)

ENTRIES = (
    _entry(
        name="mobileformer_26m",
        paper_name="Mobile-Former-26M",
        params=3_232_788,
        params_fused=3_225_940,
        macs=23_550_208,
        macs_fused=23_550_208,
        top1=0.640,
    ),
    _entry(
        name="mobileformer_52m",
        paper_name="Mobile-Former-52M",
        params=3_469_092,
        params_fused=3_462_244,
        macs=49_290_496,
        macs_fused=49_290_496,
        top1=0.687,
    ),
    _entry(
        name="mobileformer_96m",
        paper_name="Mobile-Former-96M",
        params=4_585_252,
        params_fused=4_576_228,
        macs=92_017_040,
        macs_fused=92_017_040,
        top1=0.728,
    ),
    _entry(
        name="mobileformer_151m",
        paper_name="Mobile-Former-151M",
        params=7_595_828,
        params_fused=7_583_884,
        macs=146_249_168,
        macs_fused=146_249_168,
        top1=0.752,
    ),
    _entry(
        name="mobileformer_214m",
        paper_name="Mobile-Former-214M",
        params=9_425_920,
        params_fused=9_410_900,
        macs=208_374_240,
        macs_fused=208_374_240,
        top1=0.767,
    ),
    _entry(
        name="mobileformer_294m",
        paper_name="Mobile-Former-294M",
        params=11_422_648,
        params_fused=11_404_688,
        macs=286_732_160,
        macs_fused=286_732_160,
        top1=0.779,
    ),
    _entry(
        name="mobileformer_508m",
        paper_name="Mobile-Former-508M",
        params=13_976_976,
        params_fused=13_954_672,
        macs=498_467_680,
        macs_fused=498_467_680,
        top1=0.793,
    ),
)
