"""A device's profile: what is looked up in it, and what slips of units it refuses."""

import pytest
from pydantic import ValidationError

from edgewise.records.device import DeviceProfile
from edgewise.records.environment import capture_environment

KIB = 1024


def profile(**changes):
    fields = {
        "name": "board",
        "title": "A board",
        "kind": "cpu",
        "peaks": [
            {"precision": "fp32", "macs_per_s": 2e10},
            {"precision": "fp32", "threads": 2, "macs_per_s": 4e10},
            {"precision": "int8", "macs_per_s": 8e10},
        ],
        "memory": [
            {"level": "DRAM", "bytes_per_s": 1e10},
            {"level": "L2", "access": "read", "threads": 1, "bytes_per_s": 5e10},
            {"level": "L2", "access": "copy", "threads": 1, "bytes_per_s": 6e10},
        ],
    }
    return DeviceProfile.model_validate(fields | changes)


def test_only_figures_with_exactly_these_threads_are_given():
    board = profile()
    assert board.peak("fp32").macs_per_s == 2e10
    assert board.peak("fp32", 2).macs_per_s == 4e10
    assert board.peak("fp32", 1) is None
    assert board.peak("bf16") is None
    assert board.bandwidth("L2", 1).access == "copy"
    assert board.bandwidth("L3", 1) is None


def test_the_ridge_point_is_macs_per_byte_of_dram():
    board = profile()
    assert (board.ridge_point("fp32"), board.ridge_point("int8")) == (2.0, 8.0)
    assert board.ridge_point("bf16") is None
    assert board.ridge_point("fp32", 2) is None


def test_caches_before_a_level_add_up_over_the_cores_that_have_their_own():
    caches = [
        {"level": "L1", "size_bytes": 32 * KIB},
        {"level": "L2", "size_bytes": 512 * KIB},
        {"level": "L3", "size_bytes": 8192 * KIB, "num_sharing": 4},
    ]
    board = profile(caches=caches, environment=capture_environment().model_copy(update={"num_cores": 4}))
    assert board.cached_bytes("L1", 1) == 0
    assert board.cached_bytes("L2", 1) == 32 * KIB
    assert board.cached_bytes("DRAM", 1) == (32 + 512 + 8192) * KIB
    assert board.cached_bytes("DRAM", 2) == (2 * 32 + 2 * 512 + 8192) * KIB
    assert profile().cached_bytes("DRAM", 1) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peaks": [{"precision": "fp32", "macs_per_s": 22.7}]}, "greater than or equal to 1000000"),
        ({"peaks": [{"precision": "fp32", "macs_per_s": float("inf")}]}, "finite number"),
        ({"peaks": [{"precision": "fp32", "macs_per_s": float("nan")}]}, "finite number"),
        ({"memory": [{"level": "DRAM", "bytes_per_s": 34.1}]}, "greater than or equal to 1000000"),
        ({"peaks": [{"precision": "fp7", "macs_per_s": 2e10}]}, "'fp32', 'fp16', 'bf16' or 'int8'"),
        ({"peaks": 2 * [{"precision": "fp32", "macs_per_s": 2e10}]}, "peaks has two rows for fp32, no threads"),
        ({"memory": [{"level": "DRAM", "bytes_per_s": 1e6}]}, "8e\\+04 MACs a byte; one of them must be in another"),
        ({"name": "two words"}, "String should match pattern"),
    ],
)
def test_slips_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        profile(**changes)


def test_a_profile_comes_back_as_it_was_saved(tmp_path):
    board = profile(notes="ä", environment=capture_environment())
    board.save(tmp_path / "board.json")
    assert DeviceProfile.load(tmp_path / "board.json") == board
