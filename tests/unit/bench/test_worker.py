import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgewise.bench import worker
from edgewise.bench.occupancy import Watch
from edgewise.bench.worker_process import COMMAND, WorkerProcess
from edgewise.deploy.runtimes.inputs import FileInput
from edgewise.errors import InputError
from edgewise.records.peak_memory import peak_rss_bytes

FILE = Path("m.onnx")
IMAGE = FileInput(name="x", shape=(None, 3, None, None), dtype="float32")

CHATTY = """
import os, sys, numpy as np
from edgewise.bench import worker
class Session:
    def run(self, arrays):
        print("chatter"); os.write(1, b"raw chatter\\n")
        return [arrays[0] * 2]
class Chatty:
    sdk = type("Sdk", (), {"require": lambda self: None})()
    def load(self, path, options):
        print("loading")
        return Session()
worker.get_runtime = lambda name: Chatty()
worker.main()
"""

LISTING = """
import sys, pathlib
from edgewise.bench import worker
worker.main()
pathlib.Path(sys.argv[1]).write_text("\\n".join(sys.modules))
"""


def load(process, path, **changes):
    order = {"path": str(path), "runtime": "onnxruntime", "threads": 1, "batch": 1, "input_shape": None, **changes}
    return process.ask("load", **order)


def test_chatter_of_an_sdk_does_not_reach_the_answers():
    with WorkerProcess(FILE, 1, 30.0, (sys.executable, "-c", CHATTY)) as process:
        assert load(process, FILE, input_shape=[1, 3, 4, 4])["input_shape"] == [1, 3, 4, 4]
        assert len(process.ask("block", num_calls=3)["samples_ms"]) == 3


def test_only_the_runtime_asked_for_is_imported(tiny_onnx, tmp_path):
    listing = tmp_path / "modules"
    with WorkerProcess(tiny_onnx, 1, 30.0, (sys.executable, "-c", LISTING, str(listing))) as process:
        load(process, tiny_onnx)
    modules = set(listing.read_text().splitlines())
    assert "onnxruntime" in modules
    assert not modules & {"torch", "onnx", "pydantic", "matplotlib"}


def test_the_same_input_gives_the_same_checksum_in_each_process(tiny_onnx):
    sums = set()
    for _ in range(2):
        with WorkerProcess(tiny_onnx, 1, 30.0) as process:
            load(process, tiny_onnx)
            sums |= {process.ask("block", num_calls=2)["checksum"] for _ in range(3)}
    assert len(sums) == 1


def test_a_worker_ends_when_its_parent_is_gone():
    done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_quit_is_obeyed():
    order = json.dumps({"do": "quit"}) + "\n" + json.dumps({"do": "load"}) + "\n"
    done = subprocess.run(COMMAND, input=order.encode(), capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_inputs_are_the_same_each_time_and_not_flat():
    first = worker.make_inputs(FILE, [IMAGE], 2, (1, 3, 8, 8))
    again = worker.make_inputs(FILE, [IMAGE], 2, (1, 3, 8, 8))
    assert first[0].shape == (2, 3, 8, 8)
    assert first[0].dtype == np.float32
    assert np.array_equal(first[0], again[0])
    assert first[0].std() > 0.5


def test_integer_inputs_and_second_inputs_are_filled():
    second = FileInput(name="scale", shape=(None, 2), dtype="int64")
    arrays = worker.make_inputs(FILE, [IMAGE, second], 3, (1, 3, 4, 4))
    assert [array.shape for array in arrays] == [(3, 3, 4, 4), (3, 2)]
    assert arrays[1].dtype == np.int64


@pytest.mark.parametrize(
    ("inputs", "batch", "shape", "text"),
    [
        ([IMAGE], 1, None, "^'m.onnx': input 'x' is any x 3 x any x any; give input_shape for the open sizes$"),
        ([IMAGE], 1, (1, 1, 8, 8), "^'m.onnx': input 'x' is any x 3 x any x any; asked for 1 x 1 x 8 x 8$"),
        ([IMAGE], 1, (3, 8, 8), "asked for 1 x 8 x 8$"),
        ([FileInput(name="x", shape=(1, 3), dtype="float32")], 4, None, "input 'x' is 1 x 3; asked for 4 x 3$"),
        ([], 1, None, "^'m.onnx' does not tell its input; give input_shape$"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(inputs, batch, shape, text):
    with pytest.raises(InputError, match=text):
        worker.make_inputs(FILE, inputs, batch, shape)


def test_the_checksum_sees_one_changed_bit():
    array = np.zeros((2, 2), np.float32)
    changed = array.copy()
    changed[1, 1] = np.float32(1e-45)
    assert worker.checksum([array]) == worker.checksum([array.copy()])
    assert worker.checksum([array]) != worker.checksum([changed])


def test_the_watch_sees_own_work():
    watch = Watch([0])
    watch.start()
    sum(i * i for i in range(200_000))
    occupancy = watch.stop()
    assert 0 < occupancy.process_s <= occupancy.wall_s * 1.5
    assert occupancy.num_cores >= occupancy.num_watched == 1


def test_the_peak_is_not_inherited_from_a_large_parent_and_counts_only_what_is_touched():
    ballast = np.ones(300 * 2**20 // 8)
    code = (
        "import mmap; from edgewise.records.peak_memory import peak_rss_bytes\n"
        "untouched = mmap.mmap(-1, 1 << 30); print(peak_rss_bytes())"
    )
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 2**20 < child < ballast.nbytes < peak_rss_bytes()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_process_is_pinned_to_its_last_cores():
    code = "import os; from edgewise.bench.occupancy import pin; print(pin(1), sorted(os.sched_getaffinity(0)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    last = sorted(os.sched_getaffinity(0))[-1]
    assert printed.strip() == f"[{last}] [{last}]"
