"""How many bytes an element takes, by precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edgewise.errors import unknown_name
from edgewise.graph.trace import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Bytes per element of a deployed file. What is no floating-point number in the model (an index) keeps its own size."""

    weight_bytes: int
    """Of matrices and kernels."""
    vector_bytes: int
    """Of biases and scales: int8 arithmetic adds biases in int32."""
    activation_bytes: int

    def weight_size(self, value: Value) -> int:
        """Return the bytes of a weight."""
        if not value.dtype.is_floating_point:
            return value.numel * value.dtype.itemsize
        return value.numel * (self.weight_bytes if len(value.shape) > 1 else self.vector_bytes)

    def activation_size(self, value: Value, numel: int | None = None) -> int:
        """Return the bytes of ``numel`` elements of an activation; of all by default."""
        count = value.numel if numel is None else numel
        return count * (self.activation_bytes if value.dtype.is_floating_point else value.dtype.itemsize)


PRECISIONS: Final[Mapping[str, Precision]] = MappingProxyType(
    {
        "fp32": Precision(weight_bytes=4, vector_bytes=4, activation_bytes=4),
        "fp16": Precision(weight_bytes=2, vector_bytes=2, activation_bytes=2),
        "bf16": Precision(weight_bytes=2, vector_bytes=2, activation_bytes=2),
        "int8": Precision(weight_bytes=1, vector_bytes=4, activation_bytes=1),
        "int8-weights": Precision(weight_bytes=1, vector_bytes=4, activation_bytes=4),
    }
)
"""By the names that exports have for them."""


def find_precision(name: str) -> Precision:
    """Return the precision called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in PRECISIONS:
        raise unknown_name("dtype", name, PRECISIONS)
    return PRECISIONS[name]
