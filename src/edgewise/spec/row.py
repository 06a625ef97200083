"""What all block rows share: the frozen base, the field types, squeeze-and-excitation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from edgewise.errors import SpecError
from edgewise.spec.faults import describe


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise SpecError(f"{str(value).lower()} is no number")  # a ValueError: pydantic adds the place
    return value


WHOLE = BeforeValidator(_no_truth_value)
"""For literal numbers: to Python, and so to a literal, true is 1."""

Activation = Literal["relu", "relu6", "hard_swish", "swish", "gelu", "prelu", "dynamic_relu"]
Kernel = Annotated[Literal[1, 3, 5, 7], WHOLE]
Channels = Annotated[int, Field(ge=1, le=65_536)]
Stride = Annotated[Literal[1, 2], WHOLE]
Ratio = Annotated[float, Field(gt=0, le=64)]
Groups = Annotated[int, Field(ge=1, le=4096)]


class Row(BaseModel):
    """Base of all rows: frozen, unknown fields refused.

    Raises:
        SpecError: a field is unknown, missing or out of range, or fields contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise SpecError(f"{fields.get('name') or type(self).__name__}: {describe(error)}") from error

    # pydantic then builds rows inside rows without this __init__, so that their faults keep their place
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class SESpec(Row):
    """Squeeze-and-excitation: mean over the map, 1x1 convolution to ``make_divisible(chs * ratio)``, activation, 1x1 back, gate, product.

    Source: Hu et al. 2018, arXiv 1709.01507; the hard gate: MobileNetV3, arXiv 1905.02244, section 5.2.
    """

    ratio: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Squeezed width as a share of the channels that are scaled."""
    divisor: Annotated[int, Field(ge=1, le=64)] = 8
    """The squeezed width is a multiple of this."""
    round_limit: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Rounding never goes below this share of the exact width; 0 = plain rounding, as RepViT does."""
    act: Activation = "relu"
    """Between the two convolutions."""
    gate: Literal["sigmoid", "hard_sigmoid"] = "hard_sigmoid"
    place: Literal["expand", "mid", "out"] = "mid"
    """Where in the block: behind the expansion, behind the middle (before the projection), or behind the projection."""


def check_stride(stride: int, start_kernel: int | None, mid_kernel: int | None) -> None:
    """Refuse a universal inverted bottleneck that has nothing to put its stride on.

    Raises:
        SpecError: ``stride`` is above 1 and both depthwise convolutions are absent.
    """
    if stride > 1 and start_kernel is None and mid_kernel is None:
        raise SpecError(
            f"stride is {stride}, which needs a depthwise convolution; start_kernel and mid_kernel are both None"
        )


class BlockRow(Row):
    """A row with an activation and, where the shapes allow one, a residual."""

    act: Activation | None = None
    """None = the model's."""
    se: SESpec | None = None
    skip: bool = True
    """Whether the input is added where stride and width allow it; False is refused where they do not."""


class AttentionRow(Row):
    """Attention over the map: batch norm, attention, layer scale, residual. Width and resolution stay as they are."""

    num_heads: Annotated[int, Field(ge=1, le=256)]
    key_dim: Channels
    """Width of one head's queries and keys."""
    value_dim: Channels
    """Width of one head's values."""
    kv_stride: Stride = 1
    """2 halves the keys' and values' resolution with a strided depthwise convolution."""
    kv_kernel: Kernel = 3
    """Of that convolution; another value than 3 is refused where there is none."""
    skip: bool = True

    @model_validator(mode="after")
    def _kernel_needs_a_stride(self) -> AttentionRow:
        if self.kv_stride == 1 and self.kv_kernel != 3:
            raise SpecError(
                f"kv_kernel is {self.kv_kernel}, which has no effect with kv_stride=1; leave it out or set kv_stride=2"
            )
        return self
