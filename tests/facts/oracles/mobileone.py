"""MobileOne: counted by hooks on timm 1.0.31's models and on what its `reparameterize_model` makes of them.

The parameters equal those that formulas and the authors' modules give.
"""

from __future__ import annotations

from tests.facts.oracles import Oracle

ORACLES = {
    "mobileone_s0": Oracle(
        params=5_293_272,
        params_fused=2_078_504,
        macs={224: 1_051_935_232, 256: 1_373_642_752},
        macs_fused={224: 275_110_400, 256: 359_014_400},
    ),
    "mobileone_s1": Oracle(
        params=4_825_192,
        params_fused=4_764_840,
        macs={224: 830_062_080, 256: 1_083_770_880},
        macs_fused={224: 825_057_024, 256: 1_077_233_664},
    ),
    "mobileone_s2": Oracle(
        params=7_884_648,
        params_fused=7_808_168,
        macs={224: 1_304_027_392, 256: 1_702_592_512},
        macs_fused={224: 1_298_426_496, 256: 1_695_277_056},
    ),
    "mobileone_s3": Oracle(
        params=10_170_600,
        params_fused=10_078_312,
        macs={224: 1_902_112_768, 256: 2_483_765_248},
        macs_fused={224: 1_895_790_592, 256: 2_475_507_712},
    ),
    "mobileone_s4": Oracle(
        params=14_951_248,
        params_fused=14_838_352,
        macs={224: 2_986_802_432, 256: 3_900_004_352},
        macs_fused={224: 2_979_269_760, 256: 3_890_165_760},
    ),
}
