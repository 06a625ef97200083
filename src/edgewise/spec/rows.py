"""Block rows: one frozen row for each line of a paper's architecture table.

Field names equal the constructor arguments of the block that a row builds; `models/build.py` joins the two.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edgewise.errors import SpecError

Activation = Literal["relu", "gelu"]
Kernel = Literal[1, 3, 5, 7]
Channels = Annotated[int, Field(ge=1, le=65_536)]
Stride = Literal[1, 2]


class Row(BaseModel):
    """Base of all rows: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConvSpec(Row):
    """Convolution, batch norm, activation."""

    kind: Literal["conv"] = "conv"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1


class FusedIBSpec(Row):
    """Fused inverted bottleneck: a full k x k convolution that expands, then a linear 1x1 (EfficientNetV2; MobileNetV4 Table 12)."""

    kind: Literal["fused_ib"] = "fused_ib"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1
    expand_ratio: Annotated[float, Field(gt=0, le=64)] = 4.0


class UIBSpec(Row):
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
    expand_ratio: Annotated[float, Field(gt=0, le=64)] = 4.0
    start_kernel: Kernel | None = None
    mid_kernel: Kernel | None = 3

    @model_validator(mode="after")
    def _stride_needs_a_depthwise(self) -> UIBSpec:
        if self.stride > 1 and self.start_kernel is None and self.mid_kernel is None:
            raise SpecError(
                f"UIBSpec: stride={self.stride} needs a depthwise convolution; start_kernel and mid_kernel are both None"
            )
        return self


class MQASpec(Row):
    """Mobile multi-query attention: one key head and one value head shared by all query heads (MobileNetV4, section 4).

    Width and resolution stay as they are.
    """

    kind: Literal["mqa"] = "mqa"
    num_heads: Annotated[int, Field(ge=1, le=256)]
    key_dim: Channels
    value_dim: Channels
    kv_stride: Stride = 1
    """2 halves the keys' and values' resolution with a strided depthwise convolution."""
    kv_kernel: Kernel = 3


RowSpec = Annotated[ConvSpec | FusedIBSpec | UIBSpec | MQASpec, Field(discriminator="kind")]
