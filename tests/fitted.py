"""A latency profile of made-up samples, as it is after it was written and read."""

from __future__ import annotations

from collections.abc import Sequence

from edgewise.cost.latency_fit import profile_of
from edgewise.records.cost import KernelCost
from edgewise.records.environment import capture_environment
from edgewise.records.latency_profile import LatencyProfile, Sample


def fitted_profile(
    samples: Sequence[Sample], kernels: Sequence[Sequence[KernelCost]], *, fusion: str
) -> LatencyProfile:
    made = profile_of(
        samples,
        kernels,
        runtime="onnxruntime",
        threads=1,
        fusion=fusion,
        reference_kernel="a kernel",
        environment=capture_environment(),
    )
    return LatencyProfile.model_validate_json(made.model_dump_json())
