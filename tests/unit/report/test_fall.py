"""What a reduced precision costs, in words."""

from __future__ import annotations

from edgewise.records.paired import PairedTop1
from edgewise.report.fall import fall_sentence, unsettled


def paired(model_only: int, file_only: int, num: int = 360) -> PairedTop1:
    return PairedTop1.counted(
        both=num - model_only - file_only - 4, model_only=model_only, file_only=file_only, neither=4
    )


def test_a_fall_with_its_interval_and_its_doubt() -> None:
    assert fall_sentence(paired(3, 1), 0.01) == (
        "top-1 changes by −0.56 points on 360 images (95 % interval −1.88 to +0.77; the model alone is right on 3, "
        "the file alone on 1; exact McNemar p 0.62); "
        "360 images are too few to be sure: the true fall may be up to 1.88 points, 1 are accepted"
    )


def test_enough_images_leave_no_doubt() -> None:
    assert unsettled(paired(30, 20, num=10_000), 0.01) == ""
    assert unsettled(paired(60, 0), 0.01) == ""
    assert "exact McNemar p below 0.001)" in fall_sentence(paired(60, 0), 0.01)


def test_a_file_beyond_the_limit_may_still_be_within_it() -> None:
    assert unsettled(paired(4, 0), 0.01) == (
        "360 images are too few to be sure: the true fall may be as small as 0 points"
    )


def test_a_file_that_is_better_rises() -> None:
    assert fall_sentence(paired(0, 2), 0.01).startswith(
        "top-1 changes by +0.56 points on 360 images (95 % interval −0."
    )
