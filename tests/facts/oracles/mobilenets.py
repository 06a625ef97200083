"""MobileNetV1 to V4: counted from row tables with an independent analytic counter, and on timm's instantiated models.

The row tables were compared with timm 1.0.29 block by block, where timm has the model; conv_medium_seg, which it has not, was counted
from TF's table alone. `params_fused` is one bias per output channel in place of each batch norm; in the hybrid models the norm
before attention stays, because the padding of the depthwise convolutions behind it bars folding, and layer scales go.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.facts.oracles import Oracle

V2_100 = Oracle(params=3_504_872, params_fused=3_487_816, macs={224: 300_774_272})
V3_LARGE_075 = Oracle(params=3_993_528, macs={224: 154_560_624})
V3_LARGE_100 = Oracle(params=5_483_032, params_fused=5_470_832, macs={224: 216_589_760})
V3_LARGE_MINIMAL = Oracle(params=3_924_288, params_fused=3_912_088, macs={224: 209_136_704})
V3_SMALL_075 = Oracle(params=2_041_872, macs={224: 43_399_344})
V3_SMALL_100 = Oracle(params=2_542_856, params_fused=2_536_800, macs={224: 56_510_400})
V3_SMALL_MINIMAL = Oracle(params=2_044_736, params_fused=2_038_680, macs={224: 52_288_448})

ORACLES: Mapping[str, Oracle] = MappingProxyType(
    {
        "mobilenetv1_025": Oracle(params=470_072, macs={224: 41_030_272}),
        "mobilenetv1_050": Oracle(params=1_331_592, macs={224: 149_497_088}),
        "mobilenetv1_075": Oracle(params=2_585_560, macs={224: 325_400_448}),
        "mobilenetv1_100": Oracle(params=4_231_976, params_fused=4_221_032, macs={224: 568_740_352}),
        "mobilenetv1_100h": Oracle(params=5_282_600, macs={224: 620_120_576}),
        "mobilenetv1_125": Oracle(params=6_270_840, macs={224: 879_516_800}),
        "mobilenetv2_035": Oracle(params=1_677_128, macs={224: 59_285_808}),
        "mobilenetv2_050": Oracle(params=1_968_680, macs={224: 97_131_840}),
        "mobilenetv2_075": Oracle(params=2_636_424, macs={224: 209_069_792}),
        "mobilenetv2_100": V2_100,
        "mobilenetv2_130": Oracle(params=5_386_792, macs={224: 509_374_560}),
        "mobilenetv2_140": Oracle(params=6_108_776, macs={224: 582_195_824}),
        "mobilenetv2_110d": Oracle(params=4_516_520, macs={224: 430_516_080}),
        "mobilenetv2_120d": Oracle(params=5_831_144, macs={224: 668_857_568}),
        "mobilenet_v2": V2_100,
        "mobilenetv3_large_050": Oracle(params=2_689_904, macs={224: 73_663_088}),
        "mobilenetv3_large_075": V3_LARGE_075,
        "mobilenetv3_large_100": V3_LARGE_100,
        "mobilenetv3_large_150d": Oracle(params=14_622_320, macs={256: 1_010_021_120}),
        "mobilenetv3_large_minimal_100": V3_LARGE_MINIMAL,
        "mobilenetv3_small_050": Oracle(params=1_593_224, macs={224: 24_188_688}),
        "mobilenetv3_small_075": V3_SMALL_075,
        "mobilenetv3_small_100": V3_SMALL_100,
        "mobilenetv3_small_minimal_100": V3_SMALL_MINIMAL,
        "tf_mobilenetv3_large_075": V3_LARGE_075,
        "tf_mobilenetv3_large_100": V3_LARGE_100,
        "tf_mobilenetv3_large_minimal_100": V3_LARGE_MINIMAL,
        "tf_mobilenetv3_small_075": V3_SMALL_075,
        "tf_mobilenetv3_small_100": V3_SMALL_100,
        "tf_mobilenetv3_small_minimal_100": V3_SMALL_MINIMAL,
        "mobilenet_v3_large": V3_LARGE_100,
        "mobilenet_v3_small": V3_SMALL_100,
        "mobilenetv4_conv_small_035": Oracle(params=1_905_384, macs={224: 47_723_040}),
        "mobilenetv4_conv_small_050": Oracle(params=2_238_952, macs={224: 64_741_408}),
        "mobilenetv4_conv_small": Oracle(
            params=3_774_024,
            params_fused=3_761_480,
            macs={224: 186_005_568, 256: 242_178_048, 384: 541_764_608},
        ),
        "mobilenetv4_conv_medium": Oracle(
            params=9_715_512, params_fused=9_681_560, macs={224: 827_649_984, 256: 1_080_244_224}
        ),
        "mobilenetv4_conv_medium_seg": Oracle(params=5_021_816, params_fused=4_998_712, macs={256: 802_863_104}),
        "mobilenetv4_conv_aa_medium": Oracle(params=9_715_512, macs={256: 1_561_798_656}),
        "mobilenetv4_conv_blur_medium": Oracle(params=9_715_512, macs={224: 1_202_577_600}),
        "mobilenetv4_conv_large": Oracle(
            params=32_590_864, params_fused=32_516_088, macs={256: 2_835_269_632, 384: 6_376_220_672}
        ),
        "mobilenetv4_conv_aa_large": Oracle(params=32_590_864, macs={384: 7_007_590_400}),
        "mobilenetv4_hybrid_medium_075": Oracle(params=7_313_528, macs={224: 649_844_400}),
        "mobilenetv4_hybrid_medium": Oracle(
            params=11_074_648, params_fused=11_033_880, macs={224: 966_311_360, 256: 1_271_183_360}
        ),
        "mobilenetv4_hybrid_large_075": Oracle(params=22_754_984, macs={256: 2_036_234_240}),
        "mobilenetv4_hybrid_large": Oracle(
            params=37_764_624, params_fused=37_675_768, macs={256: 3_345_008_640, 384: 7_711_877_120}
        ),
    }
)
