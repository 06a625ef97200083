"""What the forms of a row are called, and the colour that stands for them in the drawing of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from edgewise.report.diagram.parts import Style
from edgewise.spec.row import Row
from edgewise.spec.rows import (
    BneckLiteSpec,
    ConvSpec,
    DepthwiseSeparableSpec,
    FormerDownSpec,
    FormerSpec,
    FormerUIBSpec,
    FusedIBSpec,
    InvertedResidualSpec,
    MHSASpec,
    MobileOneSpec,
    MQASpec,
    RepVGGSpec,
    RepViTDownSpec,
    RepViTSpec,
    RepViTStemSpec,
    UIBSpec,
)


class Form(NamedTuple):
    """One of the shapes that rows of a kind take."""

    title: str
    short: str
    style: Style


UIB_FORMS: Mapping[tuple[bool, bool], tuple[str, Style]] = MappingProxyType(
    {
        (True, True): ("ExtraDW", "depthwise"),
        (False, True): ("IB", "pointwise"),
        (True, False): ("ConvNext", "gate"),
        (False, False): ("FFN", "norm"),
    }
)
"""MobileNetV4's names, by whether there is a start depthwise and a middle one."""


def form_of(row: Row) -> Form:
    """Return the form of ``row``; squeeze-and-excitation makes it another form."""
    form = _FORMS[type(row)](row)
    if getattr(row, "se", None) is None:
        return form
    return Form(f"{form.title} with SE", f"{form.short} + SE", "gate")


def details_of(row: Row) -> str:
    """Return a row's numbers in short: width, kernels, expansion, stride."""
    kernels = [getattr(row, name, None) for name in ("start_kernel", "kernel", "mid_kernel")]
    words = [f"→ {row.out_chs}"] if hasattr(row, "out_chs") else []
    if any(kernels):
        words.append("k" + "·".join(str(kernel) for kernel in kernels if kernel))
    words += [f"e{ratio:g}"] if (ratio := getattr(row, "expand_ratio", None)) else []
    words += [f"e{mid}"] if (mid := getattr(row, "mid_chs", None)) else []
    words += [f"h{row.num_heads}×{row.key_dim}"] if isinstance(row, MQASpec | MHSASpec) else []
    words += [f"g{groups}"] if (groups := getattr(row, "groups", 1)) > 1 else []
    words += [f"b{branches}"] if (branches := getattr(row, "num_branches", 1)) > 1 else []
    words += [f"s{stride}"] if (stride := getattr(row, "stride", 1)) > 1 else []
    return ", ".join(words)


def _fixed(title: str, short: str, style: Style) -> Callable[[Any], Form]:
    return lambda _: Form(title, short, style)


def _conv(row: ConvSpec) -> Form:
    return Form("Convolution", "conv", "pointwise" if row.kernel == 1 else "conv")


def _uib(row: UIBSpec) -> Form:
    name, style = UIB_FORMS[row.start_kernel is not None, row.mid_kernel is not None]
    return Form(name, name, style)


def _former_uib(row: FormerUIBSpec) -> Form:
    name, _ = UIB_FORMS[row.start_kernel is not None, row.mid_kernel is not None]
    return Form("UIB in the bridge", f"{name} + tokens", "attention" if row.stride > 1 else "tokens")


def _attention(name: str) -> Callable[[MQASpec | MHSASpec], Form]:
    def form(row: MQASpec | MHSASpec) -> Form:
        reduced = ", keys at half resolution" if row.kv_stride > 1 else ""
        return Form(f"{name}{reduced}", f"{name} /2" if reduced else name, "attention")

    return form


def _mobileone(row: MobileOneSpec) -> Form:
    if row.depthwise:
        return Form("MobileOne depthwise", "depthwise", "depthwise")
    return Form("MobileOne 1×1", "1×1", "pointwise") if row.kernel == 1 else Form("MobileOne", "MobileOne", "conv")


def _repvgg(row: RepVGGSpec) -> Form:
    return Form("RepVGG, grouped", "grouped", "depthwise") if row.groups > 1 else Form("RepVGG", "RepVGG", "conv")


def _repvit(row: RepViTSpec) -> Form:
    return Form("RepViT, first version", "RepViT", "pointwise") if row.legacy else Form("RepViT", "RepViT", "pointwise")


def _repvit_down(row: RepViTDownSpec) -> Form:
    version = ", first version" if row.legacy else ""
    return Form(f"RepViT downsampling{version}", "down", "depthwise")


_FORMS: Mapping[type[Row], Callable[[Any], Form]] = MappingProxyType(
    {
        ConvSpec: _conv,
        DepthwiseSeparableSpec: _fixed("Depthwise separable", "DS", "depthwise"),
        InvertedResidualSpec: _fixed("Inverted residual", "IR", "pointwise"),
        FusedIBSpec: _fixed("Fused IB", "Fused IB", "conv"),
        UIBSpec: _uib,
        MQASpec: _attention("MQA"),
        MHSASpec: _attention("MHSA"),
        RepVGGSpec: _repvgg,
        MobileOneSpec: _mobileone,
        RepViTSpec: _repvit,
        RepViTDownSpec: _repvit_down,
        RepViTStemSpec: _fixed("RepViT stem", "RepViT stem", "conv"),
        BneckLiteSpec: _fixed("Bneck-lite", "bneck-lite", "depthwise"),
        FormerSpec: _fixed("Mobile-Former", "Former", "tokens"),
        FormerDownSpec: _fixed("Mobile-Former downsampling", "Former down", "attention"),
        FormerUIBSpec: _former_uib,
    }
)
