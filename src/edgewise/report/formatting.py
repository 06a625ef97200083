"""Numbers as people read them; shared by the report and the command line.

Absent and non-finite values become an en dash, so that no table ever shows ``None`` or ``nan``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewise.records.limit import Limit

MISSING = "–"
_COUNT_UNITS = ("", " k", " M", " G", " T")
_BYTE_UNITS = (" B", " kB", " MB", " GB", " TB")


def format_count(number: float | None) -> str:
    """Return a count with a decimal prefix: ``186_005_568`` becomes ``186.0 M``, ``3_774_024`` becomes ``3.77 M``."""
    return _with_prefix(number, _COUNT_UNITS)


def format_bytes(number: float | None) -> str:
    """Return a size in decimal units (1 MB = 10⁶ bytes): ``14_936_123`` becomes ``14.9 MB``."""
    return _with_prefix(number, _BYTE_UNITS)


def format_ms(milliseconds: float | None) -> str:
    """Return a time with three significant digits: ``1.2345`` becomes ``1.23 ms``."""
    text = format_significant(milliseconds)
    return text if text == MISSING else f"{text} ms"


def format_significant(number: float | None, digits: int = 3) -> str:
    """Return ``number`` with ``digits`` significant digits, whole numbers in full: ``0.0123``, ``1.23``, ``1,234``."""
    if number is None or not math.isfinite(number):
        return MISSING
    if number == 0:
        return "0"
    # rounding first: 9.996 has one digit before the point, what is shown (10.0) has two; whole numbers stay whole
    rounded = float(f"{number:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{number:,.{decimals}f}"


def format_percent(fraction: float | None, digits: int = 1) -> str:
    """Return a fraction 0-1 as per cent: ``0.978`` becomes ``97.8 %``; only exactly 1 is shown as 100 %."""
    if fraction is None or not math.isfinite(fraction):
        return MISSING
    while fraction < 1 and digits < 4 and float(f"{100 * fraction:.{digits}f}") >= 100:
        digits += 1
    return f"{100 * fraction:.{digits}f} %"


def format_points(difference: float | None, digits: int = 1) -> str:
    """Return a difference of two fractions in signed percentage points: ``-0.0028`` becomes ``−0.3``."""
    if difference is None or not math.isfinite(difference):
        return MISSING
    text = f"{100 * difference:+.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f}"
    return text.replace("-", "−")


def format_loss(loss: float | None) -> str:
    """Return a loss with four decimals."""
    if loss is None or not math.isfinite(loss):
        return MISSING
    return f"{loss:,.4f}"


def format_difference(difference: float | None) -> str:
    """Return a small absolute difference of logits: ``1.2345e-06`` becomes ``1.2e-06``; zero stays ``0``."""
    if difference is None or not math.isfinite(difference):
        return MISSING
    return "0" if difference == 0 else f"{difference:.1e}"


def format_duration(seconds: float | None) -> str:
    """Return a duration: ``48.2 s``, ``1 min 52 s``, ``2 h 03 min``."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_date(text: str) -> str:
    """Return an ISO 8601 time in UTC as ``2026-10-03 14:22 UTC``; any other text comes back as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        return moment.strftime("%Y-%m-%d %H:%M")
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_limit(limit: Limit | None) -> str:
    """Return how near a latency comes to its machine's limit, and what bounds it: ``41 % compute``."""
    return MISSING if limit is None else f"{format_percent(limit.share, 0)} {limit.bound}"


def format_plain(number: float) -> str:
    """Return a number that a person gave as that person would write it: ``5.0`` becomes ``5``."""
    return f"{number:.6g}"


def format_threads(count: int) -> str:
    """Return ``1 thread`` or ``4 threads``."""
    return f"{count} thread" if count == 1 else f"{count} threads"


def format_shape(shape: tuple[int | str, ...]) -> str:
    """Return a shape as ``1 × 3 × 224 × 224``."""
    return " × ".join(str(size) for size in shape) or MISSING


def shorten(text: str, limit: int) -> str:
    """Cut ``text`` to ``limit`` characters; the last one is then an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _with_prefix(number: float | None, units: tuple[str, ...]) -> str:
    if number is None or not math.isfinite(number):
        return MISSING
    power = 0
    # 999.95 and not 1000: what would be shown as 1000.0 belongs to the next unit
    while abs(number) >= (999.5 if power == 0 else 999.95) and power < len(units) - 1:
        number /= 1000
        power += 1
    if power == 0:
        return f"{number:.0f}{units[0]}"
    decimals = 2 if abs(number) < 9.995 else 1
    return f"{number:,.{decimals}f}{units[power]}"
