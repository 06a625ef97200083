"""Rows of the re-parameterisable families: RepVGG, MobileOne, RepViT. Their branches become one convolution for deployment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgewise.errors import SpecError
from edgewise.spec.row import WHOLE, Activation, Channels, Groups, Kernel, Ratio, Row, SESpec, Stride


class RepVGGSpec(Row):
    """3x3 branch, 1x1 branch and, at stride 1 and equal width, a batch norm alone, summed; activation (arXiv 2101.03697, section 3)."""

    kind: Literal["repvgg"] = "repvgg"
    out_chs: Channels
    stride: Stride = 1
    groups: Groups = 1
    act: Activation | None = None
    se: SESpec | None = None
    """On the sum, before the activation; `place` has no meaning here and stays 'out'."""
    skip: bool = True
    """Whether there is the branch with a batch norm alone; False is refused where stride and width rule it out."""

    @model_validator(mode="after")
    def _se_is_on_the_sum(self) -> RepVGGSpec:
        _on_the_sum(self.se)
        return self


class MobileOneSpec(Row):
    """`num_branches` convolutions, a 1x1 one where `kernel` > 1, a batch norm alone, summed; activation (arXiv 2206.04040, section 3.2).

    A MobileOne block is two such rows: depthwise with the stride, then 1x1.
    """

    kind: Literal["mobileone"] = "mobileone"
    out_chs: Channels
    kernel: Kernel = 3
    stride: Stride = 1
    depthwise: bool = False
    num_branches: Annotated[int, Field(ge=1, le=16)] = 1
    act: Activation | None = None
    se: SESpec | None = None
    """On the sum, before the activation; `place` has no meaning here and stays 'out'."""
    skip: bool = True
    """Whether there is the branch with a batch norm alone; False is refused where stride and width rule it out."""

    @model_validator(mode="after")
    def _se_is_on_the_sum(self) -> MobileOneSpec:
        _on_the_sum(self.se)
        return self


class RepViTSpec(Row):
    """Re-parameterisable depthwise token mixer, optional squeeze-and-excitation, residual 1x1 pair (arXiv 2307.09283, figure 3)."""

    kind: Literal["repvit"] = "repvit"
    kernel: Annotated[Literal[3, 5, 7], WHOLE] = 3
    expand_ratio: Ratio = 2.0
    legacy: bool = False
    """The first paper version's mixer (M1, M2, M3): a norm on each branch, none on the sum."""
    act: Activation | None = None
    se: SESpec | None = None
    """Between the mixers; `place` has no meaning here and stays 'out'."""

    @model_validator(mode="after")
    def _se_is_between_the_mixers(self) -> RepViTSpec:
        _on_the_sum(self.se)
        return self


class RepViTDownSpec(Row):
    """A RepViT block at the old width, a strided depthwise, a 1x1 to the new width, a residual 1x1 pair (arXiv 2307.09283, figure 3)."""

    kind: Literal["repvit_down"] = "repvit_down"
    out_chs: Channels
    stride: Stride = 2
    kernel: Annotated[Literal[3, 5, 7], WHOLE] = 3
    expand_ratio: Ratio = 2.0
    legacy: bool = False
    act: Activation | None = None


class RepViTStemSpec(Row):
    """Two 3x3 convolutions with norms and one activation between them (arXiv 2307.09283, section 3.3)."""

    kind: Literal["repvit_stem"] = "repvit_stem"
    out_chs: Annotated[int, Field(ge=2, le=65_536, multiple_of=2)]
    stride: Annotated[Literal[1, 2, 4], WHOLE] = 4
    """4 = both convolutions are strided, 2 = the first one, 1 = none."""
    act: Activation | None = None


def _on_the_sum(se: SESpec | None) -> None:
    if se is not None and se.place != "out":
        raise SpecError(f"se.place is {se.place!r}, but this row has one place for it; accepted: 'out'")
