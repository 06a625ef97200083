"""Rows of the MobileNets' own blocks.

Field names equal the constructor arguments of the block that a row builds; `models/build.py` joins the two.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from edgewise.errors import SpecError
from edgewise.spec.row import Activation, AttentionRow, BlockRow, Channels, Kernel, Ratio, Row, Stride, check_stride


class ConvSpec(Row):
    """Convolution, batch norm, activation."""

    kind: Literal["conv"] = "conv"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1
    act: Activation | None = None
    """None = the model's."""


class DepthwiseSeparableSpec(BlockRow):
    """Depthwise convolution, optional squeeze-and-excitation, 1x1 (MobileNetV1, arXiv 1704.04861, Table 1)."""

    kind: Literal["ds"] = "ds"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1
    pw_act: bool = False
    """Whether the 1x1 convolution is activated, as in MobileNetV1; linear in V2 and V3."""

    @model_validator(mode="after")
    def _nothing_is_expanded(self) -> DepthwiseSeparableSpec:
        if self.se is not None and self.se.place == "expand":
            raise SpecError("se.place is 'expand', but a ds row has no expansion; accepted: 'mid', 'out'")
        return self


class InvertedResidualSpec(BlockRow):
    """1x1 expansion, depthwise, optional squeeze-and-excitation, linear 1x1 (MobileNetV2, arXiv 1801.04381, Table 1; V3)."""

    kind: Literal["ir"] = "ir"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1
    expand_ratio: Ratio = 6.0


class FusedIBSpec(BlockRow):
    """Fused inverted bottleneck: a full k x k convolution that expands, then a linear 1x1 (EfficientNetV2; MobileNetV4 Table 12)."""

    kind: Literal["fused_ib"] = "fused_ib"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1
    expand_ratio: Ratio = 4.0

    @model_validator(mode="after")
    def _expansion_is_the_middle(self) -> FusedIBSpec:
        if self.se is not None and self.se.place == "expand":
            raise SpecError(
                "se.place is 'expand', which in a fused_ib row is the same as 'mid'; accepted: 'mid', 'out'"
            )
        return self


class UIBSpec(BlockRow):
    """Universal inverted bottleneck (MobileNetV4, arXiv 2404.10518, section 3).

    The two optional depthwise convolutions give its four forms:

    ========== ============ ==========
    form       start_kernel mid_kernel
    ========== ============ ==========
    ExtraDW    k            k
    IB         None         k
    ConvNext   k            None
    FFN        None         None
    ========== ============ ==========
    """

    kind: Literal["uib"] = "uib"
    out_chs: Channels
    stride: Stride = 1
    expand_ratio: Ratio = 4.0
    start_kernel: Kernel | None = None
    mid_kernel: Kernel | None = 3

    @model_validator(mode="after")
    def _fields_fit(self) -> UIBSpec:
        check_stride(self.stride, self.start_kernel, self.mid_kernel)
        if self.se is not None and self.se.place == "expand" and self.mid_kernel is None:
            raise SpecError(
                "se.place is 'expand', which without a mid_kernel is the same as 'mid'; accepted: 'mid', 'out'"
            )
        return self


class MQASpec(AttentionRow):
    """Mobile multi-query attention: one key head and one value head shared by all query heads (MobileNetV4, section 4)."""

    kind: Literal["mqa"] = "mqa"


class MHSASpec(AttentionRow):
    """Multi-head self-attention, every head with keys and values of its own (what MQA is compared with, MobileNetV4 Table 2)."""

    kind: Literal["mhsa"] = "mhsa"
