"""Conversions in a process: one line when one fails, nothing left when one hangs, the next one without a new start."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from edgewise.deploy.converter import Converter, last_line
from edgewise.errors import ExportError

SERVER = """
import os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    exec(open(line.rstrip()).read())
    answers.write("done\\n")
    answers.flush()
"""
"""What `edgewise.deploy.convert` is to a converter, with Python's own start as all that it costs: a job is the text of a program."""


@pytest.fixture
def converter():
    with Converter([sys.executable, "-S", "-c", SERVER]) as made:
        yield made


def run(converter: Converter, code: str, folder: Path, timeout_s: float = 20) -> None:
    (folder / "job.py").write_text(code)
    converter.run(folder / "job.py", task="the task", timeout_s=timeout_s)


def test_success_is_silent(converter, tmp_path, capfd):
    run(converter, "print('chatter')", tmp_path)
    assert capfd.readouterr() == ("", "")


def test_failure_is_the_last_meaningful_line(converter, tmp_path):
    with pytest.raises(ExportError) as raised:
        run(converter, "def f():\n  raise ValueError('no such operator: aten::x')\nprint('noise')\nf()", tmp_path)
    assert str(raised.value) == "the task failed: ValueError: no such operator: aten::x"


def test_silent_failure_is_said(converter, tmp_path):
    with pytest.raises(ExportError, match=r"^the task failed: it said nothing$"):
        run(converter, "sys.exit(3)", tmp_path)


def test_crash_names_the_signal(converter, tmp_path):
    with pytest.raises(ExportError, match=r"^the task was killed by SIGSEGV; was there enough memory"):
        run(converter, "import signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)


def test_jobs_share_a_process(converter, tmp_path):
    """Until one fails, which is tried again in a fresh process first: what jobs before it left behind may be to blame."""
    for _ in range(2):
        run(converter, f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')", tmp_path)
    with pytest.raises(ExportError, match="boom"):
        run(
            converter,
            f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n'); raise ValueError('boom')",
            tmp_path,
        )
    first, second, failed, again = (tmp_path / "pids").read_text().split()
    assert first == second == failed != again
    run(converter, "pass", tmp_path)


def test_what_only_fails_after_another_job_is_done_in_a_fresh_process(converter, tmp_path):
    run(converter, "sys.spoilt = True", tmp_path)
    run(converter, "assert not hasattr(sys, 'spoilt')", tmp_path)


def test_a_process_that_died_between_jobs_is_replaced(converter, tmp_path):
    run(converter, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))", tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    run(converter, "pass", tmp_path)


def test_long_and_odd_output_is_cut(tmp_path):
    (tmp_path / "log.txt").write_bytes(b"\xff" * 10 + b"x" * 10_000 + b"\n\n  indented\n")
    assert len(last_line(tmp_path / "log.txt")) == 300


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split()[2] == "Z"


def dies(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(pid)


def leaves_a_child(folder: Path) -> str:
    return f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
open({str(folder / "pid")!r}, "w").write(str(child.pid))
"""


def test_no_process_outlives_a_job_that_hangs(converter, tmp_path):
    with pytest.raises(ExportError, match="the task took longer than 1 s and was stopped; allow it more time"):
        run(converter, leaves_a_child(tmp_path) + "import time; time.sleep(60)", tmp_path, timeout_s=1)
    assert dies(int((tmp_path / "pid").read_text()))


def test_no_process_outlives_the_converter(converter, tmp_path):
    run(converter, leaves_a_child(tmp_path), tmp_path)
    converter.close()
    assert dies(int((tmp_path / "pid").read_text()))


def test_interrupt_takes_the_process_along(converter, tmp_path):
    code = f"import time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt):
        run(converter, code, tmp_path)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert gone(int((tmp_path / "pid").read_text()))
