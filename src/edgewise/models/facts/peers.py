"""How the models of MobileNetV4's Table 6 are built here, so that what was published of them can be set beside our counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Peer:
    """One model of the table.

    Attributes:
        source: what `models.resolve` takes.
        img_size: side in pixels; the table gives it for some, the rest follow from its MACs.
        width_mult: of the model that `source` names.
        has_attention: whether it is one of the hybrids and others that are not plain convolutional nets with batch norm and ReLU.
    """

    source: str
    img_size: int = 224
    width_mult: float = 1.0
    has_attention: bool = False


PEERS: Final[Mapping[str, Peer]] = MappingProxyType(
    {
        "MobileNet-V1": Peer("mobilenetv1_100"),
        "MobileNet-V2-0.5x": Peer("mobilenetv2_050"),
        "MobileNet-V2": Peer("mobilenetv2_100"),
        "MobileNet-V2-1.5x": Peer("mobilenetv2_100", width_mult=1.5),
        "MobileNet-V2-2.0x": Peer("mobilenetv2_100", width_mult=2.0),
        "MobileNet-V3L-0.5x": Peer("mobilenetv3_large_050"),
        "MobileOne-S0": Peer("mobileone_s0"),
        "MobileOne-S4": Peer("mobileone_s4"),
        "MNv4-Conv-S": Peer("mobilenetv4_conv_small"),
        "MNv4-Conv-M": Peer("mobilenetv4_conv_medium", 256),
        "MNv4-Conv-L": Peer("mobilenetv4_conv_large", 384),
        "MNv4-Hybrid-M": Peer("mobilenetv4_hybrid_medium", 256, has_attention=True),
        "MNv4-Hybrid-L": Peer("mobilenetv4_hybrid_large", 384, has_attention=True),
        "FastViT-T8": Peer("timm:fastvit_t8", 256, has_attention=True),
        "FastViT-S12": Peer("timm:fastvit_s12", 256, has_attention=True),
        "FastViT-SA12": Peer("timm:fastvit_sa12", 256, has_attention=True),
        "FastViT-SA24": Peer("timm:fastvit_sa24", 256, has_attention=True),
        "FastViT-SA36": Peer("timm:fastvit_sa36", 256, has_attention=True),
        "MIT-EfficientViT-B1-r224": Peer("timm:efficientvit_b1", has_attention=True),
        "MIT-EfficientViT-B2-r256": Peer("timm:efficientvit_b2", 256, has_attention=True),
        "MIT-EfficientViT-B3-r224": Peer("timm:efficientvit_b3", has_attention=True),
        "ConvNext-S": Peer("timm:convnext_small", has_attention=True),
    }
)
"""Left out: the two MultiHardware models, whose rows are not public, and NextViT-B, which has no latency in the table."""
