"""Measuring a machine: which kernel gives the figure, what a disturbance or a crash leaves."""

import sys
from pathlib import Path

import pytest

from edgewise.bench import device, reference
from edgewise.bench.device import measure_device

FAKE = Path(__file__).parent / "fake_device_worker.py"


@pytest.fixture
def machine(monkeypatch, known):
    """Return what measures a machine with two cores and 16 GB free, in one of the fake's modes."""

    def measured(mode, **listeners):
        if mode in known:
            return known[mode]
        monkeypatch.setattr(device, "DEVICE_COMMAND", (sys.executable, str(FAKE), mode))
        monkeypatch.setattr(device, "usable_cores", lambda: 2)
        known[mode] = measure_device(**listeners)
        return known[mode]

    return measured


@pytest.fixture(scope="module")
def known():
    """Profiles by mode: the fake gives the same ones each time."""
    return {}


def test_the_fastest_kernel_of_all_libraries_gives_the_peak(machine):
    profile = machine("good")
    assert [(peak.precision, peak.threads, peak.kernel) for peak in profile.peaks] == [
        ("fp32", 1, "numpy fast"),
        ("int8", 1, "ort whole"),
        ("fp32", 2, "numpy fast"),
        ("int8", 2, "ort whole"),
    ]
    # 2 ms for 10^8 MACs, a little more in each block
    one = profile.peak("fp32", 1)
    assert one.macs_per_s == pytest.approx(1e8 / 2e-3 / (1 + (device.BLOCKS - 1) / 2000))
    assert one.low < one.macs_per_s < one.high
    assert one.reference_ms == 0.2
    assert profile.peak("fp32", 2).macs_per_s == pytest.approx(2 * one.macs_per_s)
    assert profile.peak("bf16", 1) is None, "OpenVINO said that it computes it in float32"


def test_each_level_is_read_and_copied(machine):
    profile = machine("good")
    assert [(row.level, row.access, row.kernel) for row in profile.memory if row.threads == 1] == [
        row for level in ("L1", "L2", "L3", "DRAM") for row in ((level, "read", "numpy dot"), (level, "copy", "memcpy"))
    ]
    assert {row.buffer_bytes for row in profile.memory if row.level == "DRAM"} == {64 << 20, 4 * 2 * (1 << 24)}
    assert len(profile.memory) == 16
    assert [cache.level for cache in profile.caches] == ["L1", "L2", "L3"]


def test_the_profile_names_machine_versions_and_speed(machine):
    profile = machine("good")
    assert profile.environment.num_cores == int(profile.name.rpartition("-")[2])
    assert profile.environment.versions["numpy"]
    assert profile.speed.kernel == reference.NAME
    assert len(profile.speed.times_ms) == len(profile.peaks) + len(profile.memory)
    assert (profile.remarks, profile.confidence) == ((), "high")


def test_what_is_not_installed_or_crashes_leaves_the_others(machine):
    said, steps = [], []
    profile = machine("crash", say=said.append, progress=lambda *step: steps.append(step))
    assert {peak.kernel for peak in profile.peaks} == {"numpy fast"}
    assert "torch is left out: torch is not installed: pip install torch" in said
    assert any(
        text.startswith("the rest of onnxruntime is left out") and "illegal instruction" in text for text in said
    )
    assert len(profile.memory) == 16
    assert steps == [(number, 16) for number in range(1, 17)]


def test_blocks_in_which_others_had_the_core_do_not_count(machine):
    profile = machine("shared")
    assert profile.peak("fp32", 1).macs_per_s == pytest.approx(1e8 / 2e-3, rel=0.03)
    assert profile.remarks == ()


def test_a_machine_that_is_never_quiet_is_told_of(machine):
    profile = machine("busy")
    assert profile.peak("fp32", 1).macs_per_s == pytest.approx(1e8 / 4e-3, rel=0.03)
    assert profile.remarks == (
        "1 thread: other processes took the core: it was ours 50% of the time",
        "2 threads: other processes used 50% of the cores measured on",
    )
    assert profile.confidence == "low"
