"""SIGINT and SIGTERM, on the command line's `train` and alone."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_run import write_images

from edgewise.train.signals import StopRequest

RUNNER = """
import os, sys
sys.path.insert(0, sys.argv[1])
slow = float(sys.argv[2])
import time
from edgewise.cli.main import main
from edgewise.train import loop
inner = loop._Run._step

def step(self, batches):
    open(sys.argv[3], "a").write("step\\n")
    time.sleep(slow)
    inner(self, batches)

loop._Run._step = step
main(sys.argv[4:])
"""
SETTINGS = ["--model", "mobilenetv4_conv_small", "--width-mult", "0.1", "--img-size", "16", "--batch", "4", "--quiet"]


def run(tmp_path: Path, *arguments: str, slow: float = 0.0) -> subprocess.Popen[str]:
    log = tmp_path / "steps"
    log.unlink(missing_ok=True)
    script = tmp_path / "runner.py"
    script.write_text(RUNNER)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(slow), str(log), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(tmp_path: Path, process: subprocess.Popen[str], num_steps: int = 2) -> None:
    deadline = time.monotonic() + 60
    while not (tmp_path / "steps").exists() or (tmp_path / "steps").read_text().count("step") < num_steps:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_saves_and_prints_the_command_that_goes_on(tmp_path, number, code):
    data, project = write_images(tmp_path / "data", 8, 2), tmp_path / "my runs"
    process = run(tmp_path, "train", str(data), *SETTINGS, "--epochs", "400", "--project", str(project))
    wait_for_step(tmp_path, process)
    process.send_signal(number)
    sent = time.monotonic()
    _, text = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - sent < 10
    found = re.search(
        rf"stopped by {number.name}, saved at step (\d+); go on with: edgewise (.*)", " ".join(text.split())
    )
    assert found, text
    assert shlex.split(found[2]) == ["train", "--resume", str(project / "train")]
    assert (project / f"train/weights/last/step-{int(found[1]):06d}").is_dir()
    again = run(tmp_path, *shlex.split(found[2]), "--quiet")
    wait_for_step(tmp_path, again)
    again.send_signal(number)
    _, text = again.communicate(timeout=20)
    assert again.returncode == code
    assert int(re.search(r"saved at step (\d+)", " ".join(text.split()))[1]) > int(found[1])


def test_a_second_sigint_ends_at_once(tmp_path):
    data = write_images(tmp_path / "data", 8, 2)
    process = run(tmp_path, "train", str(data), *SETTINGS, "--project", str(tmp_path / "runs"), slow=30)
    wait_for_step(tmp_path, process, num_steps=1)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None, "the first signal waits for the step"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode == -signal.SIGINT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_request_is_remembered_and_the_handlers_come_back(number, code):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert (stop.signal, stop.exit_code) == (None, 0)
        os.kill(os.getpid(), number)
        assert (stop.signal, stop.exit_code) == (number, code)
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(number) == before


def test_outside_the_main_thread_nothing_is_touched():
    def use() -> None:
        with StopRequest() as stop:
            seen.append((stop.signal, signal.getsignal(signal.SIGINT)))

    seen: list[object] = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == [(None, signal.getsignal(signal.SIGINT))]
