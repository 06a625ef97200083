"""`bench` as a job: what is planned, what is kept, what goes on without the rest."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewise.bench import worker_process
from edgewise.bench.protocol import TooSlow
from edgewise.errors import BenchError, ConfigError, ExportError, InputError, Interrupted, OutputError, UnknownNameError
from edgewise.models.catalogue import CATALOGUE
from edgewise.pipeline import bench_job
from edgewise.pipeline.bench_folder import BenchFolder
from edgewise.pipeline.bench_job import bench_all
from edgewise.pipeline.bench_plan import plan
from edgewise.pipeline.bench_ways import check_request, named
from edgewise.pipeline.compare_job import compare_two
from edgewise.pipeline.listener import JobListener
from edgewise.records.bench import BenchRequest

FAKE = Path(__file__).parents[1] / "bench" / "fake_worker.py"


class Heard(JobListener):
    def __init__(self):
        self.messages, self.overall = [], []

    def on_message(self, text):
        self.messages.append(text)

    def on_overall(self, done, total):
        self.overall.append((done, total))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three small ONNX files, and a worker without a clock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker_process, "COMMAND", (sys.executable, str(FAKE), str(tmp_path / "log"), "good"))
    weight = numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "a.onnx")
    for name in ("b.onnx", "c.onnx"):
        shutil.copy("a.onnx", name)
    return "a.onnx", "b.onnx", "c.onnx"


def request_of(*what, **changes):
    return BenchRequest(what=what, **changes)


def run(request, listener=None):
    folder = BenchFolder.create(request)
    return folder, bench_all(request, folder, listener=listener or Heard())


# ---- the plan


def test_the_plan_counts_every_way_and_keeps_a_models_cases_together():
    slots = plan(
        request_of(
            "repvgg_a0",
            "mobileone_s0",
            runtimes=("onnxruntime", "openvino"),
            precisions=("fp32", "bf16"),
            threads=(1, 2),
        )
    )
    assert [slot.number for slot in slots] == list(range(1, 13))
    assert [slot.owner for slot in slots] == [1] * 6 + [2] * 6
    assert [(slot.format, slot.precision, slot.threads) for slot in slots[:6]] == [
        ("onnx", "fp32", 1),
        ("onnx", "fp32", 2),
        ("openvino", "fp32", 1),
        ("openvino", "fp32", 2),
        ("openvino", "bf16", 1),
        ("openvino", "bf16", 2),
    ]


def test_patterns_become_models_smallest_first():
    found = named(["mobileone_s*", "repvgg_a0"])
    assert [each for each in found if each.startswith("mobileone")] == [f"mobileone_s{n}" for n in range(5)]
    assert found[-1] == "repvgg_a0"
    everything = named([], all_=True)
    assert set(everything) == set(CATALOGUE)
    assert [CATALOGUE[name].macs_fused for name in everything] == sorted(
        CATALOGUE[name].macs_fused for name in everything
    )


@pytest.mark.parametrize(("what", "all_"), [([], False), (["repvgg_a0"], True)])
def test_something_must_be_named_and_only_once(what, all_):
    with pytest.raises(ConfigError, match="or give --all for every model, not both"):
        named(what, all_=all_)


def test_a_pattern_without_models_is_refused():
    with pytest.raises(UnknownNameError, match="mobilenetv9"):
        named(["mobilenetv9_*"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": (0,)}, "threads is 0; accepted: 1 to"),
        ({"batch": 0}, "batch is 0"),
        ({"max_ms": -1.0}, "max_ms is -1.0"),
        ({"precisions": ("fp7",)}, "unknown precision"),
        ({"runtimes": ("tensorrt",)}, "unknown runtime"),
        ({"precisions": ("bf16",)}, "precision is bf16, which none of the runtimes has: onnx has fp32"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_made(changes, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        check_request(request_of("repvgg_a0", **changes))


# ---- the folder


def test_each_case_gets_a_record_and_the_folder_says_what_was_asked(files):
    request = request_of(*files)
    heard = Heard()
    folder, cases = run(request, heard)
    assert folder.path == Path("runs/bench")
    assert BenchFolder.open(folder.path).request == folder.request == request
    assert [case.what for case in cases] == list(files)
    assert BenchFolder.open(folder.path).cases() == cases
    assert [path.name for path in sorted(folder.path.glob("cases/*"))] == [
        f"000{n}-{name}-onnxruntime-fp32-1.json" for n, name in enumerate("abc", 1)
    ]
    assert heard.overall == [(0, 3), (3, 3)]
    assert BenchFolder.create(request).path == Path("runs/bench2")


def test_a_folder_that_holds_something_is_refused(files):
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"'out' holds something already.*--resume"):
        BenchFolder.create(request_of(*files), Path("out"))
    with pytest.raises(InputError, match="'out' holds no bench"):
        BenchFolder.open(Path("out"))
    assert Path("out/mine.txt").read_text() == "mine"


def test_a_resumed_bench_measures_only_what_is_left(files, tmp_path):
    folder, cases = run(request_of(*files))
    _, second, third = sorted(folder.path.glob("cases/*"))
    second.unlink()
    third.write_bytes(third.read_bytes()[:100])
    (tmp_path / "log").unlink()
    heard = Heard()
    again = bench_all(folder.request, folder, listener=heard)
    assert heard.messages == ["1 of 3 cases are done already"]
    assert again[0] == cases[0]
    loaded = {line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("start")}
    assert loaded == {"start b.onnx", "start c.onnx"}
    assert len(folder.cases()) == 3


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(files, monkeypatch):
    monkeypatch.setattr(bench_job, "MAX_ALIVE", 1)
    real, calls = bench_job.measure_cases, []

    def stopped(cases, **more):
        calls.append(cases)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(cases, **more)

    monkeypatch.setattr(bench_job, "measure_cases", stopped)
    folder = BenchFolder.create(request_of(*files))
    with pytest.raises(
        Interrupted, match="1 of 3 cases are kept; go on with: edgewise bench --resume 'runs/bench'"
    ) as caught:
        bench_all(folder.request, folder, listener=Heard())
    assert caught.value.exit_code == 130
    folder = BenchFolder.open(folder.path)
    assert len(bench_all(folder.request, folder, listener=Heard())) == 3
    assert [case.name for (case,) in calls] == ["a.onnx", "b.onnx", "b.onnx", "c.onnx"]


# ---- what fails alone


def test_a_process_that_dies_takes_no_other_case_along(files, monkeypatch):
    real = bench_job.measure_cases

    def dying(cases, **more):
        if any(case.name == "b.onnx" for case in cases):
            raise BenchError("the process measuring 'b.onnx' was killed by SIGSEGV")
        return real(cases, **more)

    monkeypatch.setattr(bench_job, "measure_cases", dying)
    heard = Heard()
    _, cases = run(request_of(*files), heard)
    assert [bool(case.measurement) for case in cases] == [True, False, True]
    assert cases[1].left_out == "the process measuring 'b.onnx' was killed by SIGSEGV"
    assert heard.messages[0].endswith("the set is measured one by one")


@pytest.mark.parametrize("given", [True, False])
def test_a_runtime_that_refuses_a_file_stops_the_bench_only_where_the_file_was_given(files, monkeypatch, given):
    real, made = bench_job.measure_cases, bench_job.Files.made

    def refusing(cases, **more):
        if any(case.name == "b.onnx" for case in cases):
            raise InputError("'b.onnx' cannot be loaded")
        return real(cases, **more)

    def made_here(self, slot, folder):
        found = made(self, slot, folder)
        return replace(found, slot=replace(slot, is_file=given))

    monkeypatch.setattr(bench_job, "measure_cases", refusing)
    monkeypatch.setattr(bench_job.Files, "made", made_here)
    if given:
        with pytest.raises(InputError, match=r"'b.onnx' cannot be loaded"):
            run(request_of(*files))
        return
    _, cases = run(request_of(*files))
    assert [case.left_out for case in cases] == ["", "'b.onnx' cannot be loaded", ""]


def test_when_nothing_can_be_measured_the_first_reason_is_told(files, monkeypatch):
    def dying(cases, **more):
        raise BenchError("it died")

    monkeypatch.setattr(bench_job, "measure_cases", dying)
    with pytest.raises(ExportError, match="nothing could be measured; the first reason: it died"):
        run(request_of("a.onnx"))


def test_what_takes_longer_than_allowed_is_left_out(files, monkeypatch):
    def measured(cases, max_ms, **more):
        found = bench_job.measure_cases(cases, **more)
        return [TooSlow(7.0) if case.name == "b.onnx" else each for case, each in zip(cases, found, strict=True)]

    monkeypatch.setattr(bench_job, "measure_within", measured)
    _, cases = run(request_of(*files, max_ms=5.0))
    assert [case.left_out for case in cases] == ["", "takes about 7.00 ms, over 5.00 ms", ""]


def test_a_larger_model_is_not_tried_where_a_smaller_one_is_hopeless(files, monkeypatch):
    monkeypatch.setattr(bench_job, "measure_within", lambda *_, **__: [TooSlow(20.0)])
    monkeypatch.setattr(bench_job, "MAX_ALIVE", 1)
    request = request_of("mobilenetv4_conv_small_035", "mobilenetv4_conv_large", max_ms=5.0, img_size=32)
    heard = Heard()
    _, cases = run(request, heard)
    assert cases[0].left_out == "takes about 20.0 ms, over 5.00 ms"
    assert cases[1].left_out == "not tried: mobilenetv4_conv_small_035, which is smaller, takes 20.0 ms"


def test_what_does_not_exist_is_refused_and_leaves_nothing(files):
    with pytest.raises(InputError, match=r"'gone.onnx' does not exist; give a model's name"):
        run(request_of("gone.onnx"))
    assert not Path("runs").exists()


# ---- comparing records


def test_two_records_of_earlier_benches_are_compared(files):
    run(request_of("a.onnx"))
    run(request_of("b.onnx"))
    records = [str(next(Path(f"runs/{name}/cases").iterdir())) for name in ("bench", "bench2")]
    comparison, measured = compare_two(request_of(*records), listener=Heard())
    assert [each.name for each in measured] == ["a.onnx", "b.onnx"]
    assert comparison.outcome == "no difference shown"


def test_a_record_without_a_measurement_cannot_be_compared(files, monkeypatch):
    folder, _ = run(request_of("a.onnx"))
    path = next(folder.path.glob("cases/*"))
    path.write_text(folder.cases()[0].model_copy(update={"measurement": None, "left_out": "it died"}).model_dump_json())
    with pytest.raises(InputError, match="holds no measurement: it died"):
        compare_two(request_of(str(path), str(path)), listener=Heard())
