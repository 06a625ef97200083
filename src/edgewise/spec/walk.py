"""Walking a spec from input to output with channels and strides resolved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewise.spec.model import ModelSpec
    from edgewise.spec.rows import AnyRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row at its place in the network."""

    stage: int
    index: int
    row: AnyRow
    in_chs: int
    out_chs: int
    stride: int
    reduction: int
    """Input pixels per output pixel, after this row."""

    @property
    def path(self) -> str:
        """Return the row's place in the spec, as in ``stages[2][3]``."""
        return f"stages[{self.stage}][{self.index}]"

    @property
    def keeps_shape(self) -> bool:
        """Return whether a residual around the row is possible."""
        return self.stride == 1 and self.in_chs == self.out_chs


def walk(spec: ModelSpec) -> Iterator[Step]:
    """Yield every row of the stages in order; the stem comes before them and is not part of them.

    Rows without `out_chs` keep the width, rows without `stride` the resolution.
    """
    chs: int = spec.stem.out_chs
    reduction: int = spec.stem.stride
    for stage, rows in enumerate(spec.stages):
        for index, row in enumerate(rows):
            out_chs: int = getattr(row, "out_chs", chs)
            stride: int = getattr(row, "stride", 1)
            reduction *= stride
            yield Step(
                stage=stage, index=index, row=row, in_chs=chs, out_chs=out_chs, stride=stride, reduction=reduction
            )
            chs = out_chs


def max_reduction(spec: ModelSpec) -> int:
    """Return the stride of the last feature map, 32 for the published models."""
    return list(walk(spec))[-1].reduction
