"""What each operator of a file takes, where its runtime can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgewise.deploy.runtimes.protocol import Array, RuntimeOptions
from edgewise.records.op_time import OpTime

WARM_UP_CALLS = 2
"""Before the calls of a profile that count."""


@runtime_checkable
class TimesOperators(Protocol):
    """A runtime with a profiler."""

    def operator_times(
        self, path: Path, options: RuntimeOptions, arrays: Sequence[Array], num_calls: int
    ) -> list[OpTime]:
        """Return the time of each operator of the file at ``path``, in the order in which they run, over ``num_calls`` calls.

        Raises:
            InputError: as `Runtime.load`.
        """
        ...


def undisturbed(times: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of the faster half of the calls, from (calls, operators): a disturbance only ever adds time."""
    kept = max(1, len(times) // 2)
    mean: NDArray[np.float64] = np.sort(times, axis=0)[:kept].mean(axis=0)
    return mean
