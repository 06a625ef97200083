"""Device profiles: those that come along, this machine's, and files of a user's, good and bad."""

import re
from pathlib import Path

import pytest

from edgewise.cost.device_files import (
    THIS_CPU,
    device_names,
    find_device,
    parse_device,
    this_cpu,
    this_cpu_path,
    write_device_file,
)
from edgewise.errors import ConfigError, InputError, OutputError, UnknownNameError
from edgewise.records.device import DeviceProfile
from edgewise.records.environment import capture_environment
from edgewise.spec.plain_yaml import load_yaml

GOOD = """
name: board
title: My board
kind: cpu
peaks:
- {precision: fp32, macs_per_s: 2.2e10}
memory:
- {level: DRAM, bytes_per_s: 3.4e+9}
"""

# What real devices of each kind can have, so that a slip of a factor of 1000, or of TOPS for MACs on the largest, shows.
PEAKS = {"cpu": (1e9, 2e12), "gpu": (5e10, 1e15), "npu": (1e11, 1e14), "dsp": (1e9, 1e13)}
DRAM = {"cpu": (1e9, 1e12), "gpu": (1e10, 1e13), "npu": (1e9, 1e12), "dsp": (1e9, 1e12)}
GROWTH = {"fp16": (1, 40), "bf16": (1, 40), "int8": (1, 40)}
"""A narrower precision's peak by fp32's."""


def test_all_devices_of_the_facts_are_there():
    names = device_names()
    assert len(names) == len(set(names)) == 36
    assert {"pixel6_cpu_big", "s23_cpu_big", "apple_a15_ane", "rpi5_cpu4", "jetson_orin_nano_8gb", "nvidia_h200"} < set(
        names
    )


@pytest.mark.parametrize("name", device_names())
def test_figures_are_sane_and_sourced(name):
    device = find_device(name)
    assert device.name == name
    assert device.title
    assert device.source
    assert device.read is not None
    assert device.read_note
    for peak in device.peaks:
        assert PEAKS[device.kind][0] <= peak.macs_per_s <= PEAKS[device.kind][1]
        float_ = device.peak("fp32")
        if peak.precision != "fp32" and float_ is not None:
            low, high = GROWTH[peak.precision]
            assert low <= peak.macs_per_s / float_.macs_per_s <= high
    for row in device.memory:
        assert row.level == "DRAM"
        assert DRAM[device.kind][0] <= row.bytes_per_s <= DRAM[device.kind][1]
        for peak in device.peaks:
            assert 0.5 <= device.ridge_point(peak.precision) <= 1000
    # what has figures says how far they can be trusted; what has none says nothing
    assert (device.confidence is not None) >= bool(device.peaks)
    if device.fitted is not None:
        ratio = device.fitted.macs_per_s / device.fitted.bytes_per_s
        assert ratio == pytest.approx(device.fitted.ridge_point_macs_per_byte, rel=0.02)


def test_figures_are_those_of_the_sources():
    pixel = find_device("pixel6_cpu_big")
    assert {peak.precision: peak.macs_per_s for peak in pixel.peaks} == {
        "fp32": 4.48e10,
        "fp16": 8.96e10,
        "int8": 1.792e11,
    }
    assert pixel.bandwidth("DRAM").bytes_per_s == 5.12e10
    assert pixel.ridge_point("int8") == pytest.approx(3.5)
    assert (pixel.fitted.ridge_point_macs_per_byte, pixel.confidence) == (28.2, "low")
    # 67 sparse TOPS, of which half are dense, of which half are MACs
    assert find_device("jetson_orin_nano_super").peak("int8").macs_per_s == pytest.approx(67e12 / 4, rel=0.01)
    assert find_device("pixel4_edgetpu").peaks == ()


def test_unknown_devices_get_a_suggestion():
    with pytest.raises(UnknownNameError, match="unknown device 'pixel6_cpu'; did you mean 'pixel6_cpu_big'"):
        find_device("pixel6_cpu")


# ---- a user's own


@pytest.mark.parametrize("name", ["board.yaml", "board.yml", "board.json"])
def test_a_users_file_is_read_and_written(tmp_path, name):
    source = tmp_path / "given.yaml"
    source.write_text(GOOD)
    device = find_device(str(source))
    assert device.peak("fp32").macs_per_s == 2.2e10
    write_device_file(device, tmp_path / "deep" / name)
    assert find_device(str(tmp_path / "deep" / name)) == device


def test_the_file_that_the_documentation_shows_is_one():
    page = (Path(__file__).parents[3] / "docs/measuring.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert parse_device(load_yaml(text.encode()), "docs").ridge_point("int8") == pytest.approx(7.7 / 1.7)


BAD = [
    ("", "is no device profile; accepted: a mapping of fields"),
    ("- 1", "is no device profile; accepted: a mapping of fields"),
    ("a: [", "is no plain YAML"),
    (GOOD.replace("kind: cpu\n", ""), "kind is missing"),
    (GOOD.replace("kind: cpu", "kind: toaster"), "kind is 'toaster'; accepted: 'cpu', 'gpu', 'npu' or 'dsp'"),
    (
        GOOD.replace("2.2e10", "22.7"),
        r"peaks\[0\].macs_per_s is 22.7; must be at least 1e\+06 multiply-accumulates a second",
    ),
    (GOOD.replace("2.2e10", "2.2e20"), r"peaks\[0\].macs_per_s is 2.2e\+20; must be at most 1e\+17"),
    (GOOD.replace("2.2e10", "-1"), r"peaks\[0\].macs_per_s is -1; must be at least"),
    (GOOD.replace("2.2e10", ".nan"), r"peaks\[0\].macs_per_s is nan; must be a number, without a unit behind it"),
    (
        GOOD.replace("2.2e10", "22.7 GMAC/s"),
        r"is '22.7 GMAC/s'; must be a number, without a unit behind it: multiply-acc",
    ),
    (GOOD.replace("3.4e+9", "3.4"), r"memory\[0\].bytes_per_s is 3.4; must be at least 1e\+06 bytes a second"),
    (GOOD.replace("3.4e+9", "3.4 GB/s"), r"bytes_per_s is '3.4 GB/s'; must be a number, without a unit"),
    (GOOD.replace("macs_per_s", "mac_per_s"), r"unknown field 'peaks\[0\].mac_per_s'; did you mean 'macs_per_s'"),
    (GOOD + "peakz: 1\n", "unknown field 'peakz'; did you mean 'peaks'"),
    (GOOD + "zzzzz: 1\n", "unknown field 'zzzzz'; accepted: caches, confidence, environment"),
    (GOOD.replace("fp32", "f32"), r"peaks\[0\].precision is 'f32'; accepted: 'fp32', 'fp16', 'bf16' or 'int8'"),
    (GOOD.replace("3.4e+9", "1.0e+6"), "2.2e\\+04 MACs a byte; one of them must be in another unit"),
    (GOOD.replace("name: board", "name: [a]"), "name is a list; "),
    (GOOD + "name: again\n", "key 'name' is given twice"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_bad_file_gets_one_clear_line(tmp_path, text, message):
    path = tmp_path / "board.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        find_device(str(path))
    assert str(caught.value).startswith(f"'{path}'")
    assert "\n" not in str(caught.value)


def test_a_missing_or_huge_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"board\.yaml' cannot be read: No such file"):
        find_device(str(tmp_path / "board.yaml"))
    (tmp_path / "board.yaml").write_text(GOOD + "#" * 600_000)
    with pytest.raises(ConfigError, match="larger than 524,288 bytes"):
        find_device(str(tmp_path / "board.yaml"))


@pytest.mark.parametrize("name", ["board", "board.txt"])
def test_a_profile_is_written_to_yaml_or_json_only(tmp_path, name):
    with pytest.raises(ConfigError, match=r"accepted: files that end in \.yaml, \.yml, \.json"):
        write_device_file(find_device("rpi4_cpu4"), tmp_path / name)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_device_file(find_device("rpi4_cpu4"), tmp_path / "file" / "board.yaml")


# ---- this machine's


def measured(**changes):
    machine = capture_environment().model_copy(update=changes)
    return DeviceProfile(name="mine", title="mine", kind="cpu", environment=machine)


def test_this_machines_profile_is_found_where_it_was_kept():
    with pytest.raises(InputError, match="this-cpu was not measured yet; run: edgewise device measure"):
        this_cpu()
    write_device_file(measured(), this_cpu_path())
    assert this_cpu() == find_device(THIS_CPU) == measured(made_at=this_cpu().environment.made_at)


@pytest.mark.parametrize("changes", [{"cpu": "another"}, {"num_cores": 4096}])
def test_a_profile_of_another_machine_is_not_this_ones(changes):
    write_device_file(measured(**changes), this_cpu_path())
    with pytest.raises(InputError, match="is of another machine; run: edgewise device measure"):
        this_cpu()


def test_profiles_lie_in_the_cache_by_processor(monkeypatch):
    path = this_cpu_path()
    assert path.parent.name == "devices"
    monkeypatch.setattr("edgewise.cost.device_files.usable_cores", lambda: 4096)
    assert this_cpu_path() != path
    assert this_cpu_path().parent == path.parent
    assert Path(path.name).suffix == ".json"
