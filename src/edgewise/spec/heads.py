"""Heads: from the last feature map to logits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator

from edgewise.errors import SpecError
from edgewise.spec.row import Channels, Groups, Row


class ConvHeadSpec(Row):
    """1x1 convolution to `hidden_chs` with activation, behind or before the global average pool; dropout, linear classifier."""

    kind: Literal["conv"] = "conv"
    hidden_chs: Channels = 1280
    pool: Literal["before", "after"] = "before"
    """Whether pooling comes before the convolution (MobileNetV3's efficient last stage, and V4) or after it (V2)."""
    norm: bool = True
    """Batch norm behind the convolution (V2, V4)."""
    bias: bool = False
    """Bias of the convolution (V3, which has no norm there)."""

    @model_validator(mode="after")
    def _v2_has_a_norm(self) -> ConvHeadSpec:
        if self.norm and self.bias:
            raise SpecError("head.bias is True, which has no effect beside head.norm=True; set one of them")
        if self.pool == "after" and not self.norm:
            raise SpecError("head.norm is False; with head.pool='after' it must be True")
        return self


class PoolHeadSpec(Row):
    """Global average pool, dropout, linear classifier (MobileNetV1, MobileOne, RepVGG)."""

    kind: Literal["pool"] = "pool"


class NormLinearHeadSpec(Row):
    """Global average pool, batch norm, linear classifier (RepViT)."""

    kind: Literal["norm_linear"] = "norm_linear"
    distilled: bool = True
    """A second classifier, for the teacher's labels; in eval mode the logits are the mean of both."""


class TokenHeadSpec(Row):
    """1x1 convolution to `conv_chs`, pool, first token beside it, hidden linear layer with norm, linear classifier (Mobile-Former)."""

    kind: Literal["token"] = "token"
    conv_chs: Channels
    hidden_chs: Channels
    groups: Groups = 1
    """Of the 1x1 convolution; above 1 the channels are shuffled before it."""


def _kind(value: Any) -> str | None:
    # specs written before there was a choice have no kind
    kind = value.get("kind", "conv") if isinstance(value, dict) else getattr(value, "kind", None)
    return None if kind is None else str(kind)


HeadSpec = Annotated[
    Annotated[ConvHeadSpec, Tag("conv")]
    | Annotated[PoolHeadSpec, Tag("pool")]
    | Annotated[NormLinearHeadSpec, Tag("norm_linear")]
    | Annotated[TokenHeadSpec, Tag("token")],
    Discriminator(_kind),
]
