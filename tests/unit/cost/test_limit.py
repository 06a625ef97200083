"""The limit of a machine, by hand."""

import pytest

from edgewise.cost.limit import Work, machine_limit
from edgewise.records.device import DeviceProfile
from edgewise.records.environment import capture_environment
from edgewise.records.measurement import MachineSpeed

MIB = 1024**2
KERNEL = "kernel"


def device(**changes):
    fields = {
        "name": "mine",
        "title": "mine",
        "kind": "cpu",
        "peaks": [
            {"precision": "fp32", "threads": 1, "macs_per_s": 4e10, "kernel": "sgemm", "reference_ms": 0.2},
            {"precision": "fp32", "threads": 2, "macs_per_s": 8e10},
            {"precision": "int8", "threads": 1, "macs_per_s": 1.6e11},
            {"precision": "bf16", "threads": 1, "macs_per_s": 1e10},
        ],
        "memory": [
            {"level": "L1", "access": "read", "threads": 1, "bytes_per_s": 2e11},
            {"level": "L2", "access": "read", "threads": 1, "bytes_per_s": 1e11},
            {"level": "L3", "access": "read", "threads": 1, "bytes_per_s": 5e10},
            {"level": "DRAM", "access": "read", "threads": 1, "bytes_per_s": 1e10},
        ],
        "caches": [
            {"level": "L1", "size_bytes": MIB // 32},
            {"level": "L2", "size_bytes": MIB // 2},
            {"level": "L3", "size_bytes": 16 * MIB},
        ],
        "environment": capture_environment(),
        "speed": MachineSpeed(kernel=KERNEL, times_ms=(0.2,), change=""),
    }
    return DeviceProfile.model_validate(fields | changes)


def work(macs=200_000_000, weights=4 * MIB, moved=0):
    return Work(macs=macs, weight_bytes=weights, io_bytes=moved)


def limit(of, precision="fp32", threads=1, **changes):
    given = {"latency_ms": 10.0, "precision": precision, "threads": threads}
    return machine_limit(of, changes.pop("on", device()), **(given | changes))


def test_arithmetic_bounds_a_convolutional_net():
    found = limit(work())
    assert found.compute_ms == pytest.approx(5.0)
    assert (found.limit_ms, found.bound, found.kernel) == (found.compute_ms, "compute", "sgemm")
    assert found.share == pytest.approx(0.5)
    # 4 MiB, of which L1 and L2 hold 17/32, come from L3 in each call; none of it from DRAM
    assert (found.memory_ms, found.memory_level) == (pytest.approx(1e3 * (4 - 17 / 32) * MIB / 5e10), "L3")


def test_memory_bounds_what_has_few_multiplications():
    found = limit(work(macs=1000, weights=200 * MIB, moved=MIB))
    beyond_caches = 201 * MIB - (16 + 0.5 + 1 / 32) * MIB
    assert (found.bound, found.memory_level, found.bytes_moved) == ("memory", "DRAM", 201 * MIB)
    assert found.limit_ms == pytest.approx(1e3 * beyond_caches / 1e10)
    assert found.bytes_per_s == 1e10


def test_what_fits_into_the_nearest_cache_is_read_from_there():
    found = limit(work(macs=1000, weights=1000))
    assert (found.memory_level, found.memory_ms) == ("L1", pytest.approx(1e3 * 1000 / 2e11))


@pytest.mark.parametrize(
    ("precision", "expected"),
    [("int8", ("int8", 1.25)), ("int8-weights", ("fp32", 5.0)), ("bf16", ("fp32", 5.0))],
)
def test_a_reduced_precision_has_its_own_peak_unless_float32_is_faster(precision, expected):
    found = limit(work(), precision)
    assert (found.precision, found.compute_ms) == (expected[0], pytest.approx(expected[1]))


def test_the_peak_is_brought_to_the_speed_of_the_moment():
    assert limit(work(), reference=(KERNEL, 0.25)).compute_ms == pytest.approx(5.0 * 0.25 / 0.2)
    assert limit(work(), reference=("another kernel", 0.25)).compute_ms == pytest.approx(5.0)
    # bandwidths are not the core's clock
    slow = limit(work(), reference=(KERNEL, 0.25))
    assert slow.memory_ms == limit(work()).memory_ms


def test_what_is_unknown_gives_no_figure():
    assert limit(work(), "fp16") is None
    assert limit(work(), "int8", threads=2) is None
    assert limit(work(), threads=3) is None


def test_without_known_caches_there_is_no_memory_bound():
    found = limit(work(weights=200 * MIB), on=device(caches=[]))
    assert (found.memory_ms, found.memory_level, found.bound) == (None, None, "compute")
    # of two threads no bandwidth is known
    assert limit(work(weights=200 * MIB), threads=2).memory_ms is None
