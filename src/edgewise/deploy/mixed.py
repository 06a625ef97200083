"""Mixed precision: the layers that suffer most from int8 stay in float, as few as the accepted fall of top-1 needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edgewise.records.artifact import LayerPrecision, VerificationRecord


class Write(Protocol):
    """Makes the file anew with the named layers in float."""

    def __call__(self, *, keep_float: Sequence[str]) -> None:
        """Write the file."""
        ...


class Judge(Protocol):
    """Judges the file as it was last written."""

    def __call__(self) -> VerificationRecord:
        """Return the record."""
        ...


def keep_in_float(
    layers: Sequence[LayerPrecision], write: Write, judge: Judge
) -> tuple[VerificationRecord, tuple[LayerPrecision, ...]]:
    """Leave a file with the fewest of its most sensitive layers in float with which it passes, found by bisection.

    Args:
        layers: with their sensitivities; the file with all of them in int8 is known to fail.
        write: makes the file anew.
        judge: judges it.

    Returns:
        The file's record, and all layers, most sensitive first; where not even one layer can be in int8, the record of the file
        with all of them in int8, and no layers.
    """
    ranked = sorted(layers, key=lambda layer: layer.sqnr_db)

    def attempt(num_kept: int) -> VerificationRecord:
        write(keep_float=[layer.name for layer in ranked[:num_kept]])
        return judge()

    few, enough = 0, len(ranked)
    passed: VerificationRecord | None = None
    tried = 0
    while enough - few > 1:
        tried = (few + enough) // 2
        record = attempt(tried)
        if record.passed:
            enough, passed = tried, record
        else:
            few = tried
    if passed is None:
        return attempt(0), ()
    if tried != enough:
        passed = attempt(enough)
    return passed, tuple(layer.model_copy(update={"in_float": place < enough}) for place, layer in enumerate(ranked))
