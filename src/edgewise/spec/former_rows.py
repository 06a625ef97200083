"""Rows of Mobile-Former: a convolutional trunk with a bridge to a few tokens (arXiv 2108.05895)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgewise.errors import SpecError
from edgewise.spec.row import Activation, Channels, Groups, Kernel, Ratio, Row, Stride, check_stride


class TokensSpec(Row):
    """The learned tokens and how the bridge attends: `num_tokens` vectors of `token_dim`, shared by the batch."""

    num_tokens: Annotated[int, Field(ge=1, le=1024)] = 6
    token_dim: Annotated[int, Field(ge=4, le=8192)] = 192
    bridge_heads: Annotated[int, Field(ge=1, le=64)] = 2
    """Heads of both bridges; the width of every bridged map is a multiple of this."""
    former_heads: Annotated[int, Field(ge=1, le=64)] = 4
    """Heads of the attention among the tokens; `token_dim` is a multiple of this."""
    mlp_ratio: Ratio = 2.0
    """Hidden width of the tokens' feed-forward network over `token_dim`."""
    hyper_reduction: Annotated[int, Field(ge=1, le=64)] = 4
    """`token_dim` over the hidden width of the networks that drive dynamic ReLU."""

    @model_validator(mode="after")
    def _mlp_has_a_width(self) -> TokensSpec:
        if round(self.token_dim * self.mlp_ratio) < 1:
            raise SpecError(f"mlp_ratio is {self.mlp_ratio:g}, which leaves no width of token_dim={self.token_dim}")
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> TokensSpec:
        if self.token_dim % self.former_heads:
            raise SpecError(f"token_dim is {self.token_dim}; must be a multiple of former_heads={self.former_heads}")
        return self


class BneckLiteSpec(Row):
    """Depthwise 3x3 that expands, activation, linear 1x1 (Mobile-Former's first block, Table 1)."""

    kind: Literal["bneck_lite"] = "bneck_lite"
    out_chs: Channels
    mid_chs: Channels
    """Width of the depthwise; a multiple of the input's."""
    stride: Stride = 1
    groups: Groups = 1
    """Of the 1x1 convolution; above 1 the channels are shuffled before it."""
    act: Activation | None = None


class FormerSpec(Row):
    """Mobile-Former block: bridge to the tokens, Former, 1x1 - depthwise - 1x1 with dynamic ReLU, bridge back (section 3)."""

    kind: Literal["former"] = "former"
    out_chs: Channels
    mid_chs: Channels
    groups: Groups = 1
    """Of the 1x1 convolutions; above 1 their outputs are shuffled."""


class FormerDownSpec(Row):
    """Mobile-Former block that halves the map: strided depthwise that expands, 1x1, then a residual depthwise that expands, 1x1."""

    kind: Literal["former_down"] = "former_down"
    out_chs: Channels
    mid_chs: Channels
    """Width of the strided depthwise; a multiple of the input's."""
    second_mid_chs: Channels
    """Width of the second depthwise; a multiple of `out_chs`."""
    stride: Stride = 2
    groups: Groups = 1


class FormerUIBSpec(Row):
    """A universal inverted bottleneck inside the bridge: bridge to the tokens, Former, UIB with dynamic ReLU, bridge back.

    Ours: Mobile-Former's block (arXiv 2108.05895, section 3) with MobileNetV4's UIB (arXiv 2404.10518, section 3) for its trunk.
    """

    kind: Literal["former_uib"] = "former_uib"
    out_chs: Channels
    stride: Stride = 1
    expand_ratio: Ratio = 4.0
    start_kernel: Kernel | None = None
    mid_kernel: Kernel | None = 3

    @model_validator(mode="after")
    def _stride_needs_a_depthwise(self) -> FormerUIBSpec:
        check_stride(self.stride, self.start_kernel, self.mid_kernel)
        return self
