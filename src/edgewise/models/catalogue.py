"""The catalogue: every model by name, with exact counts, published accuracy and its source. Imports nothing heavy."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgewise.errors import UnknownNameError, shown, unknown_name

if TYPE_CHECKING:
    from edgewise.spec.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of the catalogue."""

    name: str
    table: str
    """``module:CONSTANT`` in `edgewise.models` that holds the rows; read only when the rows are needed."""
    paper_name: str
    img_size: int
    """Side of the square input in pixels, for which the counts and the accuracy hold."""
    params: int
    macs: int
    top1: float
    """Published ImageNet-1k top-1 of the paper's own training, a fraction."""
    source: str

    def spec(self) -> ModelSpec:
        """Return the model's rows."""
        module, _, constant = self.table.partition(":")
        found: ModelSpec = getattr(importlib.import_module(f"edgewise.models.{module}"), constant)
        return found


_MNV4 = "MobileNetV4, arXiv 2404.10518v2, Table 6 (ImageNet-1k only, no distillation)"

_ENTRIES = (
    Entry(
        name="mobilenetv4_conv_small",
        table="mobilenetv4:CONV_SMALL",
        paper_name="MNv4-Conv-S",
        img_size=224,
        params=3_774_024,
        macs=186_005_568,
        top1=0.738,
        source=_MNV4,
    ),
    Entry(
        name="mobilenetv4_conv_medium",
        table="mobilenetv4:CONV_MEDIUM",
        paper_name="MNv4-Conv-M",
        img_size=256,
        params=9_715_512,
        macs=1_080_244_224,
        top1=0.799,
        source=_MNV4,
    ),
    Entry(
        name="mobilenetv4_hybrid_medium",
        table="mobilenetv4:HYBRID_MEDIUM",
        paper_name="MNv4-Hybrid-M",
        img_size=256,
        params=11_074_648,
        macs=1_271_183_360,
        top1=0.807,
        source=_MNV4,
    ),
    Entry(
        name="mobilenetv4_conv_large",
        table="mobilenetv4:CONV_LARGE",
        paper_name="MNv4-Conv-L",
        img_size=384,
        params=32_590_864,
        macs=6_376_220_672,
        top1=0.829,
        source=_MNV4,
    ),
    Entry(
        name="mobilenetv4_hybrid_large",
        table="mobilenetv4:HYBRID_LARGE",
        paper_name="MNv4-Hybrid-L",
        img_size=384,
        params=37_764_624,
        macs=7_711_877_120,
        top1=0.834,
        source=_MNV4,
    ),
)

CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})


def list_models(pattern: str = "*") -> list[str]:
    """Return the catalogue's names that match a shell pattern (``mobilenetv4_*``), in alphabetical order."""
    return sorted(fnmatch.filter(CATALOGUE, pattern))


def find(name: str) -> Entry:
    """Return the entry of ``name``.

    Raises:
        UnknownNameError: no such model; the nearest name is suggested.
    """
    try:
        return CATALOGUE[name]
    except (KeyError, TypeError):
        if "." in str(name) and str(name).partition(".")[0] in CATALOGUE:
            raise UnknownNameError(
                f"unknown model {shown(name)}; weights by tag come through load_weights(), "
                f"the model itself is {shown(str(name).partition('.')[0])}"
            ) from None
        raise unknown_name("model", name, CATALOGUE) from None
