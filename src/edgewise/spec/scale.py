"""Transforms from spec to spec: width, input resolution."""

from __future__ import annotations

from edgewise.errors import SpecError
from edgewise.spec.heads import ConvHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import AnyRow, BneckLiteSpec, MobileOneSpec, RepVGGSpec
from edgewise.spec.walk import max_reduction, walk

LOW_RES_BELOW = 112
"""Input sides below this one get fewer strides from `fit_resolution`: at 112 px a stride-32 network ends in a 4x4 map."""


def make_divisible(value: float, divisor: int = 8, round_limit: float = 0.9) -> int:
    """Round ``value`` to a multiple of ``divisor``, never below ``round_limit`` times it (0.9 is the MobileNets' own rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < round_limit * value else rounded


def scale_width(spec: ModelSpec, width_mult: float, *, scale_stem: bool = True, scale_head: bool = False) -> ModelSpec:
    """Multiply every width of the stages by ``width_mult``, rounded to multiples of 8.

    Args:
        spec: the network to scale.
        width_mult: 0.05 to 8.
        scale_stem: also scale the stem (TF does, timm's MobileNetV4 below 1.0 does not).
        scale_head: also scale the hidden layer of the head (no MobileNet does for widths below 1).

    Raises:
        SpecError: ``width_mult`` is out of range.
    """
    if not 0.05 <= width_mult <= 8:
        raise SpecError(f"width_mult is {width_mult}; must lie within 0.05 and 8")
    if spec.tokens is not None or any(isinstance(row, BneckLiteSpec) for stage in spec.stages for row in stage):
        raise SpecError(
            f"{spec.name} has rows of Mobile-Former, which fix their inner widths; give a smaller member of its family"
        )

    def scaled(row: AnyRow) -> AnyRow:
        out_chs = getattr(row, "out_chs", None)
        return row if out_chs is None else row.model_copy(update={"out_chs": make_divisible(out_chs * width_mult)})

    head = spec.head
    if scale_head and isinstance(head, ConvHeadSpec):
        head = head.model_copy(update={"hidden_chs": make_divisible(head.hidden_chs * width_mult)})
    stem = spec.stem.model_copy(update={"out_chs": make_divisible(spec.stem.out_chs * width_mult)})
    return spec.model_copy(
        update={
            "stem": stem if scale_stem else spec.stem,
            "stages": tuple(tuple(scaled(row) for row in stage) for stage in spec.stages),
            "head": head,
        }
    )


def fit_resolution(spec: ModelSpec, img_size: int) -> ModelSpec:
    """Adapt a network to its input size by dropping its earliest strides where the last map would be smaller than 4x4.

    Every dropped stride doubles the resolution of all later rows; widths, kernels and parameters stay as they are.

    Args:
        spec: a network whose last map has stride 2^n.
        img_size: side of the square input in pixels, 8 or more.

    Returns:
        ``spec`` with `img_size` set, and unchanged otherwise when ``img_size`` is at least `LOW_RES_BELOW`, or is the side that
        the network was designed for.

    Raises:
        SpecError: ``img_size`` is below 8.
    """
    if img_size < 8:
        raise SpecError(f"img_size is {img_size}; must be 8 or more")
    if img_size == spec.img_size:
        return spec
    adapted = spec.model_copy(update={"img_size": img_size})
    while img_size < LOW_RES_BELOW and img_size / max_reduction(adapted) < 4 and max_reduction(adapted) > 1:
        adapted = _without_first_stride(adapted)
    if all(step.stride == 1 for step in walk(adapted)):
        # nothing is left that pooling could halve
        adapted = adapted.model_copy(update={"downsample": "stride"})
    return adapted


def _without_first_stride(spec: ModelSpec) -> ModelSpec:
    if spec.stem.stride > 1:
        return spec.model_copy(update={"stem": spec.stem.model_copy(update={"stride": spec.stem.stride // 2})})
    stages = [list(stage) for stage in spec.stages]
    step = next(step for step in walk(spec) if step.stride > 1)
    row = step.row.model_copy(update={"stride": 1})
    if isinstance(row, RepVGGSpec | MobileOneSpec) and step.in_chs == step.out_chs:
        # without the stride there would be one branch more, with parameters that no weights have
        row = row.model_copy(update={"skip": False})
    stages[step.stage][step.index] = row
    return spec.model_copy(update={"stages": tuple(tuple(rows) for rows in stages)})
