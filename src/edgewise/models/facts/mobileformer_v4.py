"""Figures of Mobile-Former on MobileNetV4."""

from __future__ import annotations

from functools import partial

from edgewise.models.facts.entry import Entry

OWN = "Edgewise's own: Mobile-Former's bridge (arXiv 2108.05895) on MobileNetV4's UIB (arXiv 2404.10518); not trained on ImageNet"

_entry = partial(Entry, family="mobileformer_v4", img_size=224, top1=None, source=OWN)

ENTRIES = (
    _entry(
        name="mobileformer_v4_100m",
        paper_name="Mobile-Former-V4-100M",
        params=5_265_880,
        params_fused=5_255_344,
        macs=101_121_664,
        macs_fused=101_121_664,
    ),
    _entry(
        name="mobileformer_v4_200m",
        paper_name="Mobile-Former-V4-200M",
        params=9_731_008,
        params_fused=9_716_632,
        macs=198_275_680,
        macs_fused=198_275_680,
    ),
    _entry(
        name="mobileformer_v4_500m",
        paper_name="Mobile-Former-V4-500M",
        params=15_892_328,
        params_fused=15_868_192,
        macs=500_020_672,
        macs_fused=500_020_672,
    ),
)
