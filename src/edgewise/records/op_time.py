"""The time of one operator; free of pydantic, as measuring processes use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OpTime:
    """One operator of a runtime's own profile.

    Attributes:
        op: as the runtime calls it: ``Conv``.
        numel: elements of its first output; 0 where the runtime does not tell.
        us: time of one call.
    """

    op: str
    numel: int
    us: float
