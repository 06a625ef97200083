"""What a reduced precision costs in top-1, in words."""

from __future__ import annotations

from edgewise.records.paired import PairedTop1
from edgewise.report.formatting import format_plain, format_points, format_significant


def fall_sentence(paired: PairedTop1, max_drop: float) -> str:
    """Say how top-1 changes from the model to its file, how sure that is, and whether the images are enough to tell.

    Args:
        paired: both on the same images.
        max_drop: accepted fall, as a fraction.
    """
    change = f"top-1 changes by {format_points(-paired.drop, 2)} points on {paired.num_images:,} images"
    low, high = format_points(-paired.drop_high, 2), format_points(-paired.drop_low, 2)
    counts = f"the model alone is right on {paired.num_model_only:,}, the file alone on {paired.num_file_only:,}"
    p_value = f"p {format_significant(paired.p_value, 2)}" if paired.p_value >= 0.001 else "p below 0.001"
    sure = f"95 % interval {low} to {high}; {counts}; exact McNemar {p_value}"
    return "; ".join(filter(None, (f"{change} ({sure})", unsettled(paired, max_drop))))


def unsettled(paired: PairedTop1, max_drop: float) -> str:
    """Say that the images are too few to tell on which side of ``max_drop`` the true fall lies; empty where they are enough."""
    if paired.settles(max_drop):
        return ""
    few = f"{paired.num_images:,} images are too few to be sure"
    if paired.within(max_drop):
        return f"{few}: the true fall may be up to {_points(paired.drop_high)} points, {_points(max_drop)} are accepted"
    return f"{few}: the true fall may be as small as {_points(max(paired.drop_low, 0.0))} points"


def _points(fraction: float) -> str:
    return format_plain(round(100 * fraction, 2))
