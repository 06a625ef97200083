"""RepVGG: counted by hooks on timm 1.0.31's models and on what its `reparameterize_model` makes of them.

B1g2, B2g2 and B3g2, which timm has no names for, on its classes.
The parameters equal those that formulas and the authors' modules give.
"""

from __future__ import annotations

from tests.facts.oracles import Oracle

ORACLES = {
    "repvgg_a0": Oracle(
        params=9_108_968,
        params_fused=8_309_384,
        macs={224: 1_512_581_120, 256: 1_975_224_320},
        macs_fused={224: 1_361_451_008, 256: 1_777_829_888},
    ),
    "repvgg_a1": Oracle(
        params=14_092_264,
        params_fused=12_789_864,
        macs={224: 2_626_488_320, 256: 3_430_123_520},
        macs_fused={224: 2_363_967_488, 256: 3_087_239_168},
    ),
    "repvgg_a2": Oracle(
        params=28_210_600,
        params_fused=25_499_944,
        macs={224: 5_685_345_280, 256: 7_425_326_080},
        macs_fused={224: 5_116_951_552, 256: 6_682_934_272},
    ),
    "repvgg_b0": Oracle(
        params=15_817_960,
        params_fused=14_339_048,
        macs={224: 3_397_191_680, 256: 4_436_756_480},
        macs_fused={224: 3_057_600_512, 256: 3_993_208_832},
    ),
    "repvgg_b1": Oracle(
        params=57_415_016,
        params_fused=51_829_480,
        macs={224: 13_128_089_600, 256: 17_146_265_600},
        macs_fused={224: 11_815_485_440, 256: 15_431_843_840},
    ),
    "repvgg_b1g2": Oracle(
        params=45_782_376,
        params_fused=41_360_104,
        macs={224: 9_788_375_040, 256: 12_784_189_440},
        macs_fused={224: 8_809_742_336, 256: 11_505_975_296},
    ),
    "repvgg_b1g4": Oracle(
        params=39_966_056,
        params_fused=36_125_416,
        macs={224: 8_118_517_760, 256: 10_603_151_360},
        macs_fused={224: 7_306_870_784, 256: 9_543_041_024},
    ),
    "repvgg_b2": Oracle(
        params=89_022_376,
        params_fused=80_315_112,
        macs={224: 20_418_170_880, 256: 26_667_847_680},
        macs_fused={224: 18_376_609_792, 256: 24_001_318_912},
    ),
    "repvgg_b2g2": Oracle(
        params=70_846_376,
        params_fused=63_956_712,
        macs={224: 15_199_866_880, 256: 19_852_103_680},
        macs_fused={224: 13_680_136_192, 256: 17_867_149_312},
    ),
    "repvgg_b2g4": Oracle(
        params=61_758_376,
        params_fused=55_777_512,
        macs={224: 12_590_714_880, 256: 16_444_231_680},
        macs_fused={224: 11_331_899_392, 256: 14_800_064_512},
    ),
    "repvgg_b3": Oracle(
        params=123_085_288,
        params_fused=110_960_872,
        macs={224: 29_120_696_320, 256: 38_034_411_520},
        macs_fused={224: 26_208_882_688, 256: 34_231_226_368},
    ),
    "repvgg_b3g2": Oracle(
        params=96_911_848,
        params_fused=87_404_776,
        macs={224: 21_606_338_560, 256: 28_219_740_160},
        macs_fused={224: 19_445_960_704, 256: 25_398_022_144},
    ),
    "repvgg_b3g4": Oracle(
        params=83_825_128,
        params_fused=75_626_728,
        macs={224: 17_849_159_680, 256: 23_312_404_480},
        macs_fused={224: 16_064_499_712, 256: 20_981_420_032},
    ),
    "repvgg_d2se": Oracle(
        params=133_334_836,
        params_fused=120_387_572,
        macs={224: 36_476_744_192, 320: 74_437_325_312},
        macs_fused={224: 32_829_551_104, 320: 66_994_074_112},
    ),
}
