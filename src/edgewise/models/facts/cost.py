"""What a deployed model moves and needs, beside what its entry says that it holds and computes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts of the fused form at the model's own size, batch 1, fp32, by the fusion model ``generic``; see docs/cost.md."""

    activations_fused: int
    """Output elements of convolutions, linear layers and matmuls."""
    weight_bytes_fused: int
    """Weights read."""
    activation_bytes_fused: int
    """Activations read and written."""
    accesses_fused: int
    """Memory access cost in the sense of ShuffleNet V2: elements read and written, weights among them."""
    peak_activation_bytes_fused: int
    """The most that input and activations take at one time."""
