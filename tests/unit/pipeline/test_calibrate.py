"""`calibrate` and `predict-latency` as jobs: what is kept, what goes on, what is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from edgewise.cli.render_latency import render_calibration, render_predicted
from edgewise.deploy.workshop import Workshop
from edgewise.errors import ConfigError, ExportError, InputError, Interrupted, UnknownNameError
from edgewise.pipeline import calibrate_job as module
from edgewise.pipeline.calibrate_job import calibrate, open_calibration
from edgewise.pipeline.forecast import forecast_for
from edgewise.pipeline.latency_profiles import profile_path
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network_timer import NetworkTimer
from edgewise.pipeline.predict_latency_job import predict_latency
from edgewise.records.latency_profile import CalibrationRequest, LatencyProfile, Sample


class Ear(JobListener):
    """Takes no complaint."""

    def on_message(self, text: str) -> None:
        raise AssertionError(text)


LISTENER = JobListener()
BATCH_S = 20.0


def request(**changes) -> CalibrationRequest:
    return CalibrationRequest(**({"runtime": "onnxruntime", "budget_s": 105.0} | changes))


@pytest.fixture
def clockless(monkeypatch, tmp_path):
    """Networks take a µs for 20,000 MACs and 3 a kernel; a batch takes 20 s of the budget. Returns the seeds, batch by batch."""
    monkeypatch.chdir(tmp_path)
    ticks = itertools.count(0.0, BATCH_S)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(ticks))
    batches: list[list[int]] = []

    def timed(self, drawn, timer):
        batches.append([seed for seed, _ in drawn])
        found = []
        for seed, kernels in drawn:
            latency_us = 10 + sum(3 + kernel.macs / 20e3 for kernel in kernels)
            found.append((Sample(seed=seed, latency_ms=latency_us / 1e3, reference_ms=0.1), kernels))
        return found

    monkeypatch.setattr(module._Calibration, "_time", timed)
    return batches


def test_a_profile_is_found_and_kept_as_this_machines(clockless, tmp_path, capsys) -> None:
    profile, path = calibrate(request(), None, LISTENER)
    assert path == Path("runs/calibrate/profile.json")
    assert LatencyProfile.load(path) == profile
    assert len(clockless) == 5
    assert [len(batch) for batch in clockless] == [16] * 5
    assert clockless[:4] == [list(range(at, at + 16)) for at in range(0, 64, 16)]
    assert set(clockless[4]) < set(range(64, 104)), "the last ones are chosen among more"
    assert [sample.seed for sample in profile.samples] == [seed for batch in clockless for seed in batch]
    found = predict_latency("mobilenetv4_conv_small")
    truth_ms = (10 + sum(3 + kernel.macs / 20e3 for kernel in found.report.kernels)) / 1e3
    assert found.estimate.latency_ms == pytest.approx(truth_ms, rel=0.15)
    assert found.warnings == ()
    render_calibration(profile, path, as_json=False)
    render_predicted(found, as_json=False, layers=True)
    render_predicted(found, as_json=False, layers=False)
    said = capsys.readouterr().out
    assert "80 networks" in said
    assert "mobilenetv4_conv_small at 224 px in onnxruntime, 1 thread" in said
    assert "blocks.0" in said
    render_predicted(found, as_json=True, layers=False)
    told = json.loads(capsys.readouterr().out)
    assert told["latency_ms"] == found.estimate.latency_ms
    assert sum(each["time_ms"] for each in told["kernels"]) < told["latency_ms"]


def test_what_was_interrupted_goes_on_as_if_it_had_not_been(clockless, monkeypatch) -> None:
    whole, _ = calibrate(request(), Path("whole"), LISTENER)
    time = module._Calibration._time

    def interrupted(self, drawn, timer):
        if len(self.known.samples) == 48:
            raise KeyboardInterrupt
        return time(self, drawn, timer)

    monkeypatch.setattr(module._Calibration, "_time", interrupted)
    with pytest.raises(Interrupted, match=r"48 networks are kept; go on with: edgewise calibrate --resume 'cut'"):
        calibrate(request(), Path("cut"), LISTENER)
    monkeypatch.setattr(module._Calibration, "_time", time)
    assert open_calibration(Path("cut")) == request()
    resumed, _ = calibrate(request(), Path("cut"), LISTENER)
    assert [sample.seed for sample in resumed.samples] == [sample.seed for sample in whole.samples]
    assert resumed.kernels == whole.kernels


def test_networks_are_exported_and_timed(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    job = module._Calibration(request(), tmp_path / "run", Ear())
    with Workshop() as workshop:
        timer = NetworkTimer("onnxruntime", 1, workshop, Ear())
        timed = job._time([(seed, job._kernels(seed)) for seed in (1, 2)], timer)
    assert [sample.seed for sample, _ in timed] == [1, 2]
    assert all(0 < sample.latency_ms < 1000 for sample, _ in timed)


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"runtime": "onxruntime"}, UnknownNameError, "did you mean 'onnxruntime'"),
        ({"runtime": "torch"}, ConfigError, "torch cannot be calibrated; accepted: onnxruntime, openvino"),
        ({"threads": 0}, ConfigError, "threads is 0"),
        ({"budget_s": 1.0}, ConfigError, "budget is 1 s; accepted: 60 s to a day, as in 15m"),
    ],
)
def test_requests_that_cannot_be_used(changes, error, text, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        calibrate(request(**changes), None, LISTENER)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_gone_on_with(clockless, tmp_path) -> None:
    with pytest.raises(InputError, match=r"'nowhere' holds no calibration \(request\.json is missing\)"):
        open_calibration(Path("nowhere"))
    folder = tmp_path / "run"
    calibrate(request(), folder, LISTENER)
    with pytest.raises(InputError, match=r"is a calibration of onnxruntime with 1 thread\(s\); give another folder"):
        calibrate(request(threads=2), folder, LISTENER)
    (folder / "samples.json").write_text('{"samples": [{"seed": 1}]}')
    with pytest.raises(InputError, match=r"samples\.json' is damaged; start anew in another folder"):
        calibrate(request(), folder, LISTENER)


def test_too_few_networks_make_no_profile(clockless, monkeypatch) -> None:
    ticks = itertools.count(0.0, 30.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(ticks))
    with pytest.raises(ExportError, match="only 32 networks could be timed, 48 are needed; allow a larger --budget"):
        calibrate(request(budget_s=60.0), Path("few"), LISTENER)


class Kept(JobListener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_message(self, text: str) -> None:
        self.told.append(text)


def test_what_forecasts_says_why_a_calibration_is_not_used(clockless, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EDGEWISE_CACHE", str(tmp_path / "cache"))
    ear = Kept()
    assert forecast_for("onnxruntime", 1, ear) is None
    assert ear.told == []
    profile, _ = calibrate(request(), tmp_path / "run", LISTENER)
    assert forecast_for("onnxruntime", 1, ear) is not None
    assert ear.told == []
    own = profile_path("onnxruntime", 1)
    elsewhere = profile.environment.model_copy(update={"cpu": "Another One"})
    profile.model_copy(update={"environment": elsewhere}).save(own)
    assert forecast_for("onnxruntime", 1, ear) is None
    own.write_text('{"kernels": []}')
    assert forecast_for("onnxruntime", 1, ear) is None
    foreign, damaged = ear.told
    assert foreign.startswith(
        "the calibration of onnxruntime is not used: the profile is of another machine ('Another One, "
    )
    assert "is no LatencyProfile" in damaged
    assert all(text.endswith("run: edgewise calibrate --runtime onnxruntime --threads 1") for text in ear.told)


def test_profiles_of_elsewhere_are_told_of_or_refused(clockless, tmp_path) -> None:
    with pytest.raises(
        InputError, match="openvino was not calibrated with 2 threads on this machine; run: edgewise calibrate"
    ):
        predict_latency("mobilenetv4_conv_small", runtime="openvino", threads=2)
    profile, _ = calibrate(request(), tmp_path / "run", LISTENER)
    elsewhere = profile.environment.model_copy(update={"cpu": "Another One", "versions": {"onnxruntime": "0.1"}})
    profile.model_copy(update={"environment": elsewhere}).save(tmp_path / "other.json")
    found = predict_latency("mobilenetv4_conv_small", profile=tmp_path / "other.json")
    machine, version = found.warnings
    assert machine.startswith("the profile is of another machine ('Another One, ")
    assert version.startswith("the profile is of onnxruntime 0.1; installed is ")
    with pytest.raises(InputError, match="--strict: the profile is of another machine"):
        predict_latency("mobilenetv4_conv_small", profile=tmp_path / "other.json", strict=True)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(InputError, match=r"bad\.json' is no LatencyProfile"):
        predict_latency("mobilenetv4_conv_small", profile=tmp_path / "bad.json")
