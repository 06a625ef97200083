"""The machine's speed over several measurements, and latencies brought to one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from edgewise.records.measurement import Measurement

NOTABLE = 0.03
"""Share by which the machine's speed may differ between cases before it is told of."""


def common_reference_ms(measurements: Sequence[Measurement]) -> float | None:
    """Return the middle time of the reference kernel over all cases, in ms; None where one case has none, or another kernel."""
    speeds = [each.speed for each in measurements]
    if not speeds or any(speed is None for speed in speeds) or len({speed.kernel for speed in speeds if speed}) > 1:
        return None
    return statistics.median(statistics.median(speed.times_ms) for speed in speeds if speed)


def speed_varied(measurements: Sequence[Measurement]) -> bool:
    """Say whether some cases met a machine more than 3 % slower than others did."""
    if common_reference_ms(measurements) is None:
        return False
    middles = [statistics.median(each.speed.times_ms) for each in measurements if each.speed]
    return max(middles) > (1 + NOTABLE) * min(middles)
