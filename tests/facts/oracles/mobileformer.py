"""Mobile-Former: parameters, and MACs counted by torch's `FlopCounterMode`, of the authors' released modules (commit f447310).

Their code re-parameterises nothing, so it says nothing of the fused form.
"""

from __future__ import annotations

from tests.facts.oracles import Oracle

ORACLES = {
    "mobileformer_26m": Oracle(params=3_232_788, macs={224: 23_550_208, 256: 29_160_448}),
    "mobileformer_52m": Oracle(params=3_469_092, macs={224: 49_290_496, 256: 62_780_416}),
    "mobileformer_96m": Oracle(params=4_585_252, macs={224: 92_017_040, 256: 117_916_160}),
    "mobileformer_151m": Oracle(params=7_595_828, macs={224: 146_249_168, 256: 184_057_088}),
    "mobileformer_214m": Oracle(params=9_425_920, macs={224: 208_374_240, 256: 264_503_040}),
    "mobileformer_294m": Oracle(params=11_422_648, macs={224: 286_732_160, 256: 366_141_440}),
    "mobileformer_508m": Oracle(params=13_976_976, macs={224: 498_467_680, 256: 641_735_680}),
}
