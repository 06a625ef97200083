"""Block rows: one frozen row for each line of a paper's architecture table, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgewise.spec.former_rows import BneckLiteSpec, FormerDownSpec, FormerSpec, FormerUIBSpec
from edgewise.spec.mobilenet_rows import (
    ConvSpec,
    DepthwiseSeparableSpec,
    FusedIBSpec,
    InvertedResidualSpec,
    MHSASpec,
    MQASpec,
    UIBSpec,
)
from edgewise.spec.rep_rows import MobileOneSpec, RepVGGSpec, RepViTDownSpec, RepViTSpec, RepViTStemSpec

__all__ = [
    "LAYER_SCALE_ROWS",
    "TOKEN_ROWS",
    "AnyRow",
    "BneckLiteSpec",
    "ConvSpec",
    "DepthwiseSeparableSpec",
    "FormerDownSpec",
    "FormerSpec",
    "FormerUIBSpec",
    "FusedIBSpec",
    "InvertedResidualSpec",
    "MHSASpec",
    "MQASpec",
    "MobileOneSpec",
    "RepVGGSpec",
    "RepViTDownSpec",
    "RepViTSpec",
    "RepViTStemSpec",
    "RowSpec",
    "StemSpec",
    "UIBSpec",
]

AnyRow = (
    ConvSpec
    | DepthwiseSeparableSpec
    | InvertedResidualSpec
    | FusedIBSpec
    | UIBSpec
    | MQASpec
    | MHSASpec
    | RepVGGSpec
    | MobileOneSpec
    | RepViTSpec
    | RepViTDownSpec
    | BneckLiteSpec
    | FormerSpec
    | FormerDownSpec
    | FormerUIBSpec
)
RowSpec = Annotated[AnyRow, Field(discriminator="kind")]
"""A row of a stage."""

StemSpec = Annotated[ConvSpec | RepVGGSpec | MobileOneSpec | RepViTStemSpec, Field(discriminator="kind")]
"""The row before the stages."""

LAYER_SCALE_ROWS = (UIBSpec, MQASpec, MHSASpec, FormerUIBSpec)
"""Rows that the network's `layer_scale_init` means."""

TOKEN_ROWS = (FormerSpec, FormerDownSpec, FormerUIBSpec)
"""Rows that read and write the tokens; past all others the tokens go unchanged."""
