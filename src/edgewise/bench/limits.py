"""What may be asked of a measurement on this machine."""

from __future__ import annotations

from edgewise.errors import ConfigError
from edgewise.records.environment import usable_cores


def check_threads(threads: int) -> None:
    """Refuse more threads than cores, or none.

    Raises:
        ConfigError: the number is out of range.
    """
    if not 1 <= threads <= usable_cores():
        raise ConfigError(f"threads is {threads}; accepted: 1 to {usable_cores()}, the cores of this machine")


def check_max_ms(max_ms: float) -> None:
    """Refuse a latency limit that means nothing.

    Raises:
        ConfigError: it is not above 0 and below 1,000,000 ms.
    """
    if not 0 < max_ms < 1e6:
        raise ConfigError(f"max_ms is {max_ms}; must be above 0 and below 1,000,000 ms")
