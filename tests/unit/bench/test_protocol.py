import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from edgewise.bench import protocol, worker_process
from edgewise.bench.case import Case, Plan
from edgewise.bench.protocol import TooSlow, measure_cases, measure_file, measure_within, quick_latency_ms
from edgewise.bench.schedule import alternated, turns
from edgewise.errors import BenchError, ConfigError, InputError, UnknownNameError

FAKE = Path(__file__).with_name("fake_worker.py")


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Replace the worker's program; returns a function that takes the mode and gives the log."""
    log = tmp_path / "log"

    def use(mode):
        monkeypatch.setattr(worker_process, "COMMAND", (sys.executable, str(FAKE), str(log), mode))
        return log

    return use


def cases(source, names, **changes):
    copies = [source.with_name(name) for name in names]
    for copy in copies:
        shutil.copy(source, copy)
    return [
        Case(
            **{
                "name": copy.name,
                "path": copy,
                "runtime": "onnxruntime",
                "format": "onnx",
                "precision": "fp32",
                **changes,
            }
        )
        for copy in copies
    ]


def pids(log):
    return [int(line.split()[1]) for line in log.read_text().splitlines() if line.startswith("pid")]


def assert_gone(log, at_least):
    found = pids(log)
    assert len(found) >= at_least
    assert not [pid for pid in found if psutil.pid_exists(pid)]


def test_turns_alternate_and_rotate():
    assert ["".join(turns("ABC", i)) for i in range(6)] == ["ABC", "CBA", "BCA", "ACB", "CAB", "BAC"]
    assert ["".join(alternated("ABC", i)) for i in range(3)] == ["ABC", "CBA", "ABC"]
    assert turns("A", 3) == ["A"]
    assert turns("", 2) == []


@pytest.mark.parametrize("num_cases", [2, 3, 4, 8])
def test_no_case_is_favoured_by_its_turns(num_cases):
    sequence = [case for i in range(2 * num_cases) for case in turns(range(num_cases), i)]
    behind_itself = Counter(one for one, other in pairwise(sequence) if one == other)
    assert set(behind_itself.values()) == {behind_itself[0]}
    assert len(behind_itself) == num_cases


def test_blocks_are_interleaved_and_only_one_worker_is_busy(fake, tiny_onnx):
    log = fake("good")
    done = []
    three = cases(tiny_onnx, "abc")
    measured = measure_cases(three, launches=1, min_blocks=4, progress=lambda *now: done.append(now))
    events = [line.split() for line in log.read_text().splitlines() if not line.startswith("pid")]
    assert "".join(name for kind, name in events if kind == "start") == "abccbabcaacb"
    assert [kind for kind, _ in events] == ["start", "end"] * 12
    assert [one.name for one in measured] == ["a", "b", "c"]
    assert done == [(i + 1, 12) for i in range(12)]
    assert_gone(log, 3)


def test_each_launch_starts_fresh_processes_in_the_opposite_order(fake, tiny_onnx):
    log = fake("good")
    done = []
    a, b = measure_cases(cases(tiny_onnx, "ab"), launches=3, min_blocks=7, progress=lambda *now: done.append(now))
    lines = log.read_text().splitlines()
    assert "".join(line[-1] for line in lines if line.startswith("start")) == "abbaba" + "baabab" + "abbaba"
    assert len(set(pids(log))) == 6
    assert a.launch_sizes == b.launch_sizes == (3, 3, 3)
    assert done[-1] == (18, 18)
    assert_gone(log, 6)


def test_slow_starters_are_launched_less_often(fake, tiny_onnx):
    fake("slow")
    (one,) = measure_cases(cases(tiny_onnx, "a"), launches=6, min_blocks=6, max_s_per_case=1.4)
    assert len(one.launch_sizes) in (2, 3)
    assert sum(one.launch_sizes) == 6


def test_the_interval_covers_what_differs_between_processes(fake, tiny_onnx):
    fake("moody")
    one_process, several = (measure_cases(cases(tiny_onnx, "a"), launches=n)[0] for n in (1, 6))
    assert several.ci_high_ms - several.ci_low_ms > 5 * (one_process.ci_high_ms - one_process.ci_low_ms)


def test_what_is_not_known_well_is_launched_as_often_again(fake, tiny_onnx):
    log, done = fake("scattered"), []
    a, b = measure_cases(cases(tiny_onnx, "ab"), launches=3, min_blocks=6, progress=lambda *now: done.append(now))
    assert a.launch_sizes == b.launch_sizes == (2,) * 6
    assert len(set(pids(log))) == 12
    assert done[-1] == (24, 24)
    log.unlink()
    assert measure_cases(cases(tiny_onnx, "a"), launches=2, min_blocks=6)[0].launch_sizes == (3, 3)


def test_calls_of_a_block_follow_its_length(fake, tiny_onnx):
    fake("good")
    assert [len(block) for block in measure_cases(cases(tiny_onnx, "a"), min_blocks=3)[0].samples_ms] == [5, 5, 5]
    assert [len(b) for b in measure_cases(cases(tiny_onnx, "a"), min_blocks=3, block_ms=1)[0].samples_ms] == [1, 1, 1]


def test_a_record_is_filled_from_its_samples(fake, tiny_onnx):
    fake("good")
    (one,) = measure_cases(cases(tiny_onnx, "a", batch=4))
    flat = sorted(value for block in one.samples_ms for value in block)
    assert one.latency_ms == pytest.approx((flat[74] + flat[75]) / 2)
    assert one.min_ms == flat[0]
    assert one.images_per_s == pytest.approx(4e3 / one.latency_ms)
    assert (one.verdict, one.reason, one.p90_ms) == ("trusted", "", None)
    assert (one.batch, one.input_shape, one.peak_rss_bytes) == (4, (4, 8), 1 << 20)
    assert one.file_bytes == tiny_onnx.stat().st_size
    assert len(one.block_medians_ms) == 30


def test_many_cases_go_in_sets_of_eight(fake, tiny_onnx):
    log = fake("good")
    measured = measure_cases(cases(tiny_onnx, "abcdefghij"), launches=1, min_blocks=2)
    starts = "".join(line[-1] for line in log.read_text().splitlines() if line.startswith("start"))
    assert starts == "abcdefghhgfedcba" + "ijji"
    assert len(measured) == 10


def test_a_passing_disturbance_is_measured_again_and_said(fake, tiny_onnx):
    fake("disturbed")
    expected = []
    a, b = measure_cases(cases(tiny_onnx, "ab"), progress=lambda _, total: expected.append(total))
    note = "second try; in the first, a was rejected (other processes took the core: it was ours 50% of the time)"
    assert (a.verdict, a.reason, b.reason) == ("trusted", note, note)
    assert (expected[0], expected[-1], len(expected)) == (60, 120, 120)


def test_a_lasting_disturbance_stays_rejected(fake, tiny_onnx):
    fake("busy")
    (one,) = measure_cases(cases(tiny_onnx, "a"))
    assert one.verdict == "rejected"
    assert one.reason.count("it was ours 50% of the time") == 2


def test_a_changing_output_is_rejected_without_a_second_try(fake, tiny_onnx):
    log = fake("changing")
    (one,) = measure_cases(cases(tiny_onnx, "a"))
    assert (one.verdict, one.reason) == ("rejected", "the output changed between blocks on the same input")
    assert log.read_text().count("start") == 30


def test_a_dead_worker_is_told_with_its_last_line(fake, tiny_onnx):
    log = fake("die")
    with pytest.raises(
        BenchError, match=r"^the process measuring '.*/a' ended with code 3; its last line: 'the roof is on fire'$"
    ):
        measure_cases(cases(tiny_onnx, "ab"))
    assert_gone(log, 2)


def test_a_hung_worker_is_ended(fake, tiny_onnx):
    log = fake("hang")
    with pytest.raises(BenchError, match=r"/a' gave no answer to 'block' within 0\.7 s; its last line: 'thinking'"):
        measure_cases(cases(tiny_onnx, "ab"), timeout_s=0.7)
    assert_gone(log, 2)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_leaves_no_process(fake, tiny_onnx):
    log = fake("hang")
    script = (
        "import sys; from pathlib import Path; from edgewise.bench import worker_process, protocol\n"
        f"worker_process.COMMAND = {worker_process.COMMAND!r}\n"
        f"protocol.measure_file(Path({str(tiny_onnx)!r}))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (log.exists() and "start" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in parent.communicate(timeout=10)[1]
    assert_gone(log, 1)


def test_time_runs_out_with_what_was_measured(fake, tiny_onnx):
    fake("good")
    (one,) = measure_cases(cases(tiny_onnx, "a"), max_s_per_case=0.0)
    assert len(one.samples_ms) == 1
    assert (one.verdict, one.reason) == ("noisy", "only 1 of 30 blocks fitted into the time given")


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"threads": 0}, ConfigError, "threads is 0; accepted: 1 to "),
        ({"threads": 9999}, ConfigError, "threads is 9999; accepted: 1 to "),
        ({"batch": 0}, ConfigError, "batch is 0; accepted: 1 or more"),
        ({"input_shape": (1, 0)}, ConfigError, r"input_shape is \(1, 0\); accepted: sizes of 1 or more"),
        ({"runtime": "onxruntime"}, UnknownNameError, "unknown runtime 'onxruntime'; did you mean 'onnxruntime'"),
        ({"runtime": "torch"}, InputError, r"is a \.onnx file; torch runs \.pt2"),
        ({"path": Path("nowhere.onnx")}, InputError, "^'nowhere.onnx' cannot be read: No such file or directory$"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_start(fake, tiny_onnx, changes, error, text):
    log = fake("good")
    with pytest.raises(error, match=text):
        measure_cases(cases(tiny_onnx, "a", **changes))
    assert not log.exists()


def test_a_real_onnx_file_end_to_end(tiny_onnx):
    one = measure_file(tiny_onnx, batch=3)
    assert one.launch_sizes in ((5,) * 6, (5,) * 12), "twice as many where the machine is unquiet"
    assert (one.runtime, one.format, one.threads, one.batch, one.input_shape) == ("onnxruntime", "onnx", 1, 3, (3, 8))
    assert len(one.samples_ms) == len(one.block_medians_ms) == sum(one.launch_sizes)
    assert 0 < one.min_ms <= one.ci_low_ms <= one.latency_ms <= one.ci_high_ms
    assert one.load_ms > 0
    assert one.peak_rss_bytes > 10 * 2**20


def test_a_real_pt2_file_end_to_end(tmp_path):
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU()).eval()
    path = tmp_path / "tiny.pt2"
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(model, (torch.ones(2, 8),), dynamic_shapes=({0: batch},)), path)
    case = Case(name="t", path=path, runtime="torch", format="pt2", precision="fp32", batch=5)
    (one,) = measure_cases([case], launches=1, min_blocks=3, block_ms=2.0)
    assert (one.runtime, one.input_shape, len(one.samples_ms)) == ("torch", (5, 8), 3)
    assert one.min_ms > 0


def test_a_quick_look_gives_a_latency(tiny_onnx):
    assert quick_latency_ms(tiny_onnx, "onnxruntime") > 0


def test_what_is_too_slow_when_it_is_warm_gets_no_blocks(fake, tiny_onnx):
    log, done = fake("good"), []
    given = cases(tiny_onnx, ["quick", "late"])
    quick, late = measure_within(given, 11.0, launches=2, progress=lambda *now: done.append(now))
    assert quick.launch_sizes == (15, 15)
    assert late == TooSlow(40.0)
    assert "start late" not in log.read_text()
    assert len(pids(log)) == 3
    assert done[-1] == (30, 30)


def test_a_measurement_over_the_limit_is_too_slow_as_well(fake, tiny_onnx):
    fake("good")
    (found,) = measure_within(cases(tiny_onnx, "a"), 9.0, launches=1)
    assert found == TooSlow(pytest.approx(10, rel=0.01))


def test_where_all_are_too_slow_nothing_is_timed(fake, tiny_onnx):
    log = fake("good")
    assert measure_within(cases(tiny_onnx, ["late"]), 11.0) == [TooSlow(40.0)]
    assert_gone(log, 1)


def test_a_size_that_the_file_fixes_is_refused_by_the_worker(tiny_onnx):
    with pytest.raises(InputError, match=r"tiny\.onnx': input 'x' is any x 8; asked for 1 x 9$"):
        measure_file(tiny_onnx, input_shape=(1, 9))


def test_a_file_that_the_runtime_cannot_load_is_an_input_error(tiny_onnx):
    tiny_onnx.write_bytes(tiny_onnx.read_bytes().replace(b"MatMul", b"MetMul"))
    with pytest.raises(InputError, match=r"tiny\.onnx' cannot be loaded by ONNX Runtime: .*MetMul") as caught:
        measure_file(tiny_onnx)
    assert "\n" not in str(caught.value)


def test_limits_are_those_of_the_design():
    assert Plan().min_blocks == 30
    assert protocol.MAX_ALIVE == 8


def test_a_change_of_the_machines_speed_is_named_and_both_times_are_kept(fake, tiny_onnx):
    fake("stepping")
    (measured,) = measure_cases(cases(tiny_onnx, "a"))
    assert measured.verdict == "noisy"
    assert measured.reason.startswith("the machine became 2.00x faster after block 15; ")
    assert measured.speed.change == "2.00x faster after block 15"
    assert len(measured.speed.times_ms) == len(measured.block_medians_ms) == 30
    assert measured.block_medians_ms[0] == pytest.approx(2 * measured.block_medians_ms[-1], rel=0.01)
    assert max(measured.in_reference_units) == pytest.approx(min(measured.in_reference_units), rel=0.01)


def test_throughput_and_placement_are_recorded(fake, tiny_onnx):
    fake("good")
    (measured,) = measure_cases(cases(tiny_onnx, "a"), min_blocks=3)
    assert measured.batches_per_s == pytest.approx(100, rel=0.01)
    assert measured.placement == {"CPU": 2}
    assert measured.speed.change == ""


def test_a_real_worker_times_the_reference_kernel(tiny_onnx):
    (measured,) = measure_cases(cases(tiny_onnx, "a"), launches=1)
    assert all(0.001 < each < 1000 for each in measured.speed.times_ms)
    assert measured.placement is None, "ONNX Runtime does not tell"
