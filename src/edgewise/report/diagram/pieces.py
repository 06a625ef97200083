"""The pieces that many blocks have in common: a convolution with what follows it, squeeze-and-excitation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from edgewise.report.diagram.parts import Box, Chain, ConvLayer, NormLayer, PlainLayer, Strip, Style
from edgewise.spec.model import ModelSpec
from edgewise.spec.row import SESpec
from edgewise.spec.scale import make_divisible

ACT_NAMES: Final = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "hard_swish": "h-swish",
    "swish": "swish",
    "gelu": "GELU",
    "prelu": "PReLU",
    "dynamic_relu": "dynamic ReLU",
}
GATE_NAMES: Final = {"sigmoid": "sigmoid", "hard_sigmoid": "h-sigmoid"}
POOL_NAMES: Final = {"avg": "mean 2×2, stride 2", "blur": "blur 3×3, stride 2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row stands, and in which form it is drawn."""

    spec: ModelSpec
    in_chs: int
    fused: bool = False
    """The form for deployment instead of the training form."""

    def act(self, own: str | None) -> str:
        """Return a row's activation: its own, or the network's."""
        return own or self.spec.act

    def conv(
        self,
        in_chs: int,
        out_chs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        act: str | None = None,
        pools: bool = False,
        norm: bool = True,
        bias: bool = False,
        times: int = 1,
        before_pool: tuple[Strip, ...] = (),
        behind: tuple[Strip, ...] = (),
    ) -> Box:
        """Draw a convolution with its norm, activation and pool.

        Args:
            in_chs: width of its input.
            out_chs: width of its output.
            kernel: side in pixels.
            stride: in pixels; with ``pools`` the network's `downsample` may move it to a pool behind the activation.
            groups: of the convolution.
            act: name of the activation, None for a linear one.
            pools: whether the row obeys `ModelSpec.downsample`.
            norm: whether a batch norm follows; the fused form has a bias in its place.
            bias: whether the training form has a bias.
            times: how many stand side by side.
            before_pool: strips in the place of the activation.
            behind: strips behind all others.
        """
        pooled = pools and stride > 1 and self.spec.downsample != "stride"
        conv_stride = 1 if pooled else stride
        has_norm = norm and not self.fused
        layer = ConvLayer(in_chs, out_chs, kernel, conv_stride, groups, bias or (norm and self.fused))
        strips: list[Strip] = [batch_norm(out_chs)] if has_norm else []
        if act is not None:
            strips.append(activation(act, out_chs))
        strips += before_pool
        if pooled:
            name = self.spec.downsample
            strips.append(Strip(style="plain", text=POOL_NAMES[name], layers=(PlainLayer(name),)))
        strips += behind
        same = self.spec.padding == "same" and conv_stride > 1 and kernel > 1
        return Box(
            style=_style(layer),
            title=conv_title(layer),
            note=f"{in_chs} → {out_chs}" + (", bias" if layer.bias else "") + (", SAME padding" if same else ""),
            layers=(layer,),
            strips=tuple(strips),
            times=times,
        )

    def se(self, se: SESpec | None, place: str, num_chs: int) -> tuple[Box, ...]:
        """Draw squeeze-and-excitation where ``se`` puts it at ``place``, and nothing where it does not."""
        return (squeeze_excite(se, num_chs),) if se is not None and se.place == place else ()


def batch_norm(num_chs: int) -> Strip:
    """Draw a batch norm."""
    return Strip(style="norm", text="batch norm", layers=(NormLayer("batch", num_chs),))


def activation(name: str, num_chs: int) -> Strip:
    """Draw an activation; the input-driven dynamic ReLU brings its two small convolutions."""
    if name != "dynamic_relu":
        return Strip(style="act", text=ACT_NAMES[name], layers=(PlainLayer(name),))
    hidden = max(1, num_chs // 8)
    layers = (
        ConvLayer(num_chs, hidden, bias=True),
        PlainLayer("relu"),
        ConvLayer(hidden, 4 * num_chs, bias=True),
    )
    return Strip(style="act", text=f"dynamic ReLU, {num_chs} → {hidden} → {4 * num_chs}", layers=layers)


def squeeze_excite(se: SESpec, num_chs: int) -> Box:
    """Draw squeeze-and-excitation over ``num_chs`` channels."""
    hidden = make_divisible(num_chs * se.ratio, se.divisor, se.round_limit)
    return Box(
        style="gate",
        title="squeeze-and-excitation",
        note=f"mean, {num_chs} → {hidden} → {num_chs}, {GATE_NAMES[se.gate]}, ×",
        layers=(
            ConvLayer(num_chs, hidden, bias=True),
            *activation(se.act, hidden).layers,
            ConvLayer(hidden, num_chs, bias=True),
            PlainLayer(se.gate),
        ),
    )


def as_box(strip: Strip) -> Box:
    """Return a strip as a step of its own, where there is no convolution for it to hang on."""
    return Box(style=strip.style, title=strip.text, layers=strip.layers, reads=strip.reads)


def with_strip(chain: Chain, strip: Strip) -> Chain:
    """Return ``chain`` with ``strip`` behind it: on its last box, or as a step of its own behind a sum."""
    last = chain[-1]
    if isinstance(last, Box):
        return (*chain[:-1], replace(last, strips=(*last.strips, strip)))
    return (*chain, as_box(strip))


def conv_title(layer: ConvLayer) -> str:
    """Name a convolution: ``depthwise 5×5, stride 2``."""
    kind = f"{layer.kernel}×{layer.kernel} convolution"
    if _is_depthwise(layer):
        kind = f"depthwise {layer.kernel}×{layer.kernel}"
    elif layer.groups > 1:
        kind += f", {layer.groups} groups"
    return kind + (f", stride {layer.stride}" if layer.stride > 1 else "")


def _style(layer: ConvLayer) -> Style:
    if _is_depthwise(layer):
        return "depthwise"
    return "pointwise" if layer.kernel == 1 else "conv"


def _is_depthwise(layer: ConvLayer) -> bool:
    return layer.groups == layer.in_chs > 1
