"""How near a latency comes to this machine's limit: stored beside it, shown beside it, and absent rather than wrong."""

import json
import shutil

import pytest
import torch
from tests.unit.pipeline.test_bench import files, request_of, run  # noqa: F401 - a fixture
from torch import nn

from edgewise.cli.render_bench import render_bench
from edgewise.cost.device_files import this_cpu_path, write_device_file
from edgewise.cost.limit import Work
from edgewise.errors import ConfigError
from edgewise.models.catalogue import CATALOGUE
from edgewise.pipeline import bench_limit
from edgewise.pipeline.bench_files import Made
from edgewise.pipeline.bench_folder import BenchFolder
from edgewise.pipeline.bench_limit import Counts, Limits, multiplies_in, work_of
from edgewise.records.artifact import Artifact, InputSpec, Preprocessing
from edgewise.records.device import DeviceProfile
from edgewise.records.environment import capture_environment

MACS = 8 * 8
"""Of the files of the bench's tests: a product with an 8 x 8 matrix."""


@pytest.fixture
def this_machine():
    """A profile of this machine with a peak that is easy to reckon with."""
    profile = DeviceProfile.model_validate(
        {
            "name": "mine",
            "title": "mine",
            "kind": "cpu",
            "peaks": [{"precision": "fp32", "threads": 1, "macs_per_s": 1e6, "kernel": "by hand"}],
            "environment": capture_environment(),
        }
    )
    write_device_file(profile, this_cpu_path())
    return profile


def test_the_limit_of_a_bare_onnx_file_stands_in_its_record(files, this_machine):  # noqa: F811
    folder, (case,) = run(request_of("a.onnx"))
    assert case.limit.macs == MACS
    assert case.limit.bytes_moved == 4 * (64 + 8 + 8)
    assert case.limit.limit_ms == pytest.approx(1e3 * MACS / 1e6)
    assert case.limit.share == pytest.approx(case.limit.limit_ms / case.measurement.latency_ms)
    assert (case.limit.bound, case.limit.kernel) == ("compute", "by hand")
    assert BenchFolder.open(folder.path).cases() == [case]


def test_the_batch_counts(files, this_machine):  # noqa: F811
    _, (case,) = run(request_of("a.onnx", batch=3))
    assert case.limit.macs == 3 * MACS


def test_without_a_profile_of_this_machine_there_is_a_hint_and_no_figure(files, capsys):  # noqa: F811
    folder, cases = run(request_of("a.onnx"))
    assert cases[0].limit is None
    render_bench(cases, folder.path, as_json=False)
    shown = capsys.readouterr()
    assert "of limit" not in shown.out
    hint = "no distance to this machine's limit: this-cpu was not measured yet; run: edgewise device measure"
    assert shown.err.count(hint) == 1


def test_the_figure_stands_beside_the_latency(files, this_machine, capsys):  # noqa: F811
    folder, cases = run(request_of("a.onnx"))
    render_bench(cases, folder.path, as_json=False)
    shown = capsys.readouterr()
    share = cases[0].limit.share
    assert "compute bounds the limit" in shown.out
    assert "of limit" in shown.out
    assert f" {100 * share:.0f} % " in shown.out
    memory = cases[0].model_copy(update={"limit": cases[0].limit.model_copy(update={"bound": "memory"})})
    render_bench([*cases, memory], folder.path, as_json=False)
    both = capsys.readouterr().out
    assert f"{100 * share:.0f} % compute" in both
    assert f"{100 * share:.0f} % memory" in both
    assert "edgewise device measure" not in shown.err
    render_bench(cases, folder.path, as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["limit"]["share"] == cases[0].limit.share


@pytest.mark.parametrize("damage", [b"{", b"{}"])
def test_a_damaged_profile_counts_as_none(files, this_machine, damage):  # noqa: F811
    this_cpu_path().write_bytes(damage)
    assert run(request_of("a.onnx"))[1][0].limit is None


def test_a_file_that_cannot_be_counted_has_no_figure(files, this_machine, monkeypatch):  # noqa: F811
    monkeypatch.setattr(bench_limit, "onnx_work", lambda *_: None)
    assert run(request_of("a.onnx"))[1][0].limit is None


def test_the_work_of_a_model_goes_before_what_its_file_says(files, this_machine, monkeypatch):  # noqa: F811
    from edgewise.pipeline.bench_job import Files

    made = Files.made

    def counted(self, slot, folder):
        found = made(self, slot, folder)
        work = Work(macs=5000, weight_bytes=1, io_bytes=1)
        return Made(slot=found.slot, case=found.case, model=found.model, accuracy=None, work=work)

    monkeypatch.setattr(Files, "made", counted)
    assert run(request_of("a.onnx"))[1][0].limit.macs == 5000


def test_what_a_bare_file_multiplies_in_stands_in_the_file(files, this_machine, monkeypatch):  # noqa: F811
    work = Work(macs=5000, weight_bytes=1, io_bytes=1, precision="int8")
    monkeypatch.setattr(bench_limit, "onnx_work", lambda *_: work)
    assert run(request_of("a.onnx"))[1][0].limit is None, "no int8 peak is known, fp32's would be wrong"


# ---- counting models


class Unknown(nn.Module):
    def forward(self, images):
        return torch.linalg.inv(images)


def test_catalogue_models_at_their_size_are_not_counted_again(monkeypatch):
    def refuse(*_):
        raise AssertionError("counted")

    counts, entry = Counts(), CATALOGUE["mobilenetv4_conv_small"]
    with monkeypatch.context() as patched:
        patched.setattr(bench_limit, "count", refuse)
        counts.remember(entry.name, nn.Identity(), entry.img_size)
    assert counts.get(entry.name) == (entry.params_fused, entry.macs_fused)
    assert counts.get("another") is None


def test_other_models_are_counted_as_they_are_deployed():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    counts = Counts()
    counts.remember("mine.yaml", model, 8)
    assert counts.get("mine.yaml") == (4 * 27 + 4, 64 * 4 * 27)


def test_models_that_cannot_be_counted_have_no_count(monkeypatch):
    counts = Counts()
    counts.remember("unknown.yaml", Unknown(), 8)
    assert counts.get("unknown.yaml") is None

    def fails(*_):
        raise ConfigError("no")

    monkeypatch.setattr(bench_limit, "count", fails)
    counts.remember("fails.yaml", nn.Identity(), 8)
    assert counts.get("fails.yaml") is None


def artifact(precision="fp32", shape=("batch", 3, 8, 8)):
    return Artifact(
        format="openvino",
        precision=precision,
        files=("m.xml",),
        file_bytes=1,
        sha256="",
        model="m",
        input=InputSpec(name="images", shape=shape),
        num_classes=10,
        labels=(),
        preprocessing=Preprocessing(img_size=8),
        source_sha256="",
        verification=None,
        environment=capture_environment(),
    )


@pytest.mark.parametrize(
    ("precision", "per_weight"), [("fp32", 4), ("fp16", 2), ("bf16", 2), ("int8", 1), ("int8-weights", 1)]
)
def test_weights_are_as_wide_as_the_files_precision(precision, per_weight):
    found = work_of((1000, 5000), artifact(precision), batch=2)
    assert found == Work(macs=10_000, weight_bytes=1000 * per_weight, io_bytes=2 * 4 * (3 * 8 * 8 + 10))


def test_open_sizes_give_no_work():
    assert work_of((1000, 5000), artifact(shape=("batch", 3, "h", "w")), batch=1) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"runtime": "openvino", "precision": "bf16", "placement": {"f32": 9}}, "fp32"),
        ({"runtime": "openvino", "precision": "bf16", "placement": {"f32": 2, "bf16": 7}}, "bf16"),
        ({"runtime": "openvino", "precision": "int8", "placement": {"f32": 9}}, "int8"),
        ({"runtime": "ncnn", "precision": "fp16", "placement": None}, "fp16"),
        ({"runtime": "onnxruntime", "precision": "fp32", "placement": None}, "fp32"),
    ],
)
def test_openvino_tells_when_a_half_precision_runs_in_float32(files, changes, expected):  # noqa: F811
    measured = run(request_of("a.onnx"))[1][0].measurement
    assert multiplies_in(measured.model_copy(update=changes)) == expected


def test_a_rejected_latency_has_no_figure(files, this_machine):  # noqa: F811
    shutil.copy("a.onnx", "again.onnx")
    case = run(request_of("a.onnx"))[1][0]
    rejected = case.measurement.model_copy(update={"verdict": "rejected"})
    given = {"work": Work(macs=1, weight_bytes=1, io_bytes=1), "case": None}
    assert Limits().limit(given["case"], rejected, given["work"]) is None
    assert Limits().limit(given["case"], case.measurement, given["work"]) is not None
