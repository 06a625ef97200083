"""RepViT: counted by hooks on timm 1.0.31's models and on what its `reparameterize_model` makes of them.

M0.6, which timm has no name for, on its classes.
The parameters equal those that formulas and the authors' modules give.
"""

from __future__ import annotations

from tests.facts.oracles import Oracle

ORACLES = {
    "repvit_m0_6": Oracle(
        params=2_808_932,
        params_fused=2_468_072,
        macs={224: 386_059_360, 256: 504_012_160},
        macs_fused={224: 385_065_120, 256: 502_811_520},
    ),
    "repvit_m0_9": Oracle(
        params=5_489_328,
        params_fused=5_067_056,
        macs={224: 817_280_832, 256: 1_067_169_792},
        macs_fused={224: 815_617_344, 256: 1_065_114_624},
    ),
    "repvit_m1_0": Oracle(
        params=7_302_796,
        params_fused=6_810_312,
        macs={224: 1_108_077_600, 256: 1_446_923_520},
        macs_fused={224: 1_106_136_864, 256: 1_444_525_824},
    ),
    "repvit_m1_1": Oracle(
        params=8_802_912,
        params_fused=8_244_312,
        macs={224: 1_339_242_240, 256: 1_748_797_440},
        macs_fused={224: 1_337_124_608, 256: 1_746_188_288},
    ),
    "repvit_m1_5": Oracle(
        params=14_644_432,
        params_fused=14_049_992,
        macs={224: 2_276_968_192, 256: 2_973_478_912},
        macs_fused={224: 2_273_596_160, 256: 2_969_231_360},
    ),
    "repvit_m2_3": Oracle(
        params=23_688_792,
        params_fused=22_926_792,
        macs={224: 4_521_490_880, 256: 5_904_884_480},
        macs_fused={224: 4_515_958_720, 256: 5_897_854_720},
    ),
    "repvit_m1": Oracle(
        params=5_485_248,
        params_fused=5_067_056,
        macs={224: 817_280_832, 256: 1_067_169_792},
        macs_fused={224: 815_617_344, 256: 1_065_114_624},
    ),
    "repvit_m2": Oracle(
        params=8_797_984,
        params_fused=8_244_312,
        macs={224: 1_339_242_240, 256: 1_748_797_440},
        macs_fused={224: 1_337_124_608, 256: 1_746_188_288},
    ),
    "repvit_m3": Oracle(
        params=10_682_832,
        params_fused=10_115_720,
        macs={224: 1_862_184_704, 256: 2_431_791_104},
        macs_fused={224: 1_859_163_904, 256: 2_428_002_304},
    ),
}

ONE_HEAD = {
    "repvit_m0_6": Oracle(
        params=2_487_292,
        params_fused=2_468_072,
        macs={224: 385_739_360, 256: 503_692_160},
        macs_fused={224: 385_065_120, 256: 502_811_520},
    ),
    "repvit_m0_9": Oracle(
        params=5_103_560,
        params_fused=5_067_056,
        macs={224: 816_896_832, 256: 1_066_785_792},
        macs_fused={224: 815_617_344, 256: 1_065_114_624},
    ),
    "repvit_m1_0": Oracle(
        params=6_852_900,
        params_fused=6_810_312,
        macs={224: 1_107_629_600, 256: 1_446_475_520},
        macs_fused={224: 1_106_136_864, 256: 1_444_525_824},
    ),
    "repvit_m1_1": Oracle(
        params=8_288_888,
        params_fused=8_244_312,
        macs={224: 1_338_730_240, 256: 1_748_285_440},
        macs_fused={224: 1_337_124_608, 256: 1_746_188_288},
    ),
    "repvit_m1_5": Oracle(
        params=14_130_408,
        params_fused=14_049_992,
        macs={224: 2_276_456_192, 256: 2_972_966_912},
        macs_fused={224: 2_273_596_160, 256: 2_969_231_360},
    ),
    "repvit_m2_3": Oracle(
        params=23_046_512,
        params_fused=22_926_792,
        macs={224: 4_520_850_880, 256: 5_904_244_480},
        macs_fused={224: 4_515_958_720, 256: 5_897_854_720},
    ),
    "repvit_m1": Oracle(
        params=5_099_480,
        params_fused=5_067_056,
        macs={224: 816_896_832, 256: 1_066_785_792},
        macs_fused={224: 815_617_344, 256: 1_065_114_624},
    ),
    "repvit_m2": Oracle(
        params=8_283_960,
        params_fused=8_244_312,
        macs={224: 1_338_730_240, 256: 1_748_285_440},
        macs_fused={224: 1_337_124_608, 256: 1_746_188_288},
    ),
    "repvit_m3": Oracle(
        params=10_168_808,
        params_fused=10_115_720,
        macs={224: 1_861_672_704, 256: 2_431_279_104},
        macs_fused={224: 1_859_163_904, 256: 2_428_002_304},
    ),
}
"""Without the second head, as a network that is trained without a teacher has it."""
