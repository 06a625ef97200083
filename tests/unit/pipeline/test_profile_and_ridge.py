import csv
import json

import pytest
from PIL import Image

from edgewise.errors import ConfigError, InputError, UnknownNameError
from edgewise.models.catalogue import CATALOGUE
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.profile_job import ProfileRequest, profile_model
from edgewise.pipeline.ridge_job import RidgeRequest, parse_sweep, ridge_sweep


def profiled(tmp_path, **more):
    request = ProfileRequest(model="mobilenetv4_conv_small", device="pixel6_cpu_big", precision="int8", **more)
    return profile_model(request, tmp_path / "out")


def test_a_profile_has_a_chart_a_table_and_a_record(tmp_path):
    done = profiled(tmp_path, measured="2.4")
    assert 2.0 < done.found.total_ms < 3.2, "published: 2.4 ms"
    assert done.found.share_of_roof == pytest.approx(done.found.total_ms / 2.4)
    assert done.unknown == ()
    Image.open(done.folder / "roofline.png").verify()
    with (done.folder / "kernels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(done.found.kernels) > 40
    assert sum(int(row["macs"]) for row in rows) == CATALOGUE["mobilenetv4_conv_small"].macs_fused
    assert json.loads((done.folder / "roofline.json").read_text())["device"] == "pixel6_cpu_big"


def test_a_benchs_record_gives_the_latency(tmp_path):
    (tmp_path / "bad.json").write_text('{"measurement": 3}')
    with pytest.raises(InputError, match=r"bad\.json' is no record of a bench's case"):
        profiled(tmp_path, measured=str(tmp_path / "bad.json"))
    with pytest.raises(InputError, match=r"'none\.json' is neither a latency in ms nor a record that can be read"):
        profiled(tmp_path, measured="none.json")
    left_out = {
        "what": "m",
        "model": "m",
        "runtime": "ncnn",
        "format": "ncnn",
        "precision": "fp32",
        "threads": 1,
        "measurement": None,
        "left_out": "it crashed",
    }
    (tmp_path / "case.json").write_text(json.dumps(left_out))
    with pytest.raises(InputError, match="was left out: it crashed"):
        profiled(tmp_path, measured=str(tmp_path / "case.json"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"measured": "-2"}, ConfigError, "measured is '-2'; accepted: a latency in ms above 0"),
        ({"batch": 0}, ConfigError, "batch is 0; must be 1 or more"),
        ({"overhead_us": -1.0}, ConfigError, "overhead_us is -1; must be within 0"),
        ({"img_size": 4}, ConfigError, "img_size is 4"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, changes, error, text):
    with pytest.raises(error, match=text):
        profiled(tmp_path, **changes)
    assert not (tmp_path / "out").exists()


def test_a_sweep_has_charts_and_a_table_and_names_what_is_always_on_the_front(tmp_path):
    request = RidgeRequest(what=("mobilenetv4_conv_small*", "mobilenetv3_small_100"), low=0, high=100)
    found = ridge_sweep(request, tmp_path / "out", JobListener())
    names = [curve.model for curve in found.curves]
    assert len(names) == 4
    macs = {curve.model: curve.total[0] for curve in found.curves}
    assert macs["mobilenetv4_conv_small"] == pytest.approx(186.0e6, rel=0.01)
    assert "mobilenetv4_conv_small" in found.always()
    with (tmp_path / "out" / "ridge.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(found.ridge_points)
    assert {row["front"] for row in rows if row["model"] == "mobilenetv4_conv_small"} == {"1"}
    for chart in ("ridge_fronts.png", "ridge_classes.png"):
        Image.open(tmp_path / "out" / chart).verify()


def test_a_sweep_is_written_low_colon_high():
    assert parse_sweep("0:500") == (0.0, 500.0)
    for text in ("5", "a:b", "1:2:3"):
        with pytest.raises(ConfigError, match="accepted: LOW:HIGH in MACs per byte, as in 0:500"):
            parse_sweep(text)
    for low, high in ((5, 5), (-1, 3), (0, 1e9), (float("nan"), 5)):
        with pytest.raises(ConfigError, match="0 <= LOW < HIGH"):
            RidgeRequest(low=low, high=high).check()
    with pytest.raises(UnknownNameError, match="unknown dtype 'int7'"):
        RidgeRequest(precision="int7").check()
