"""A child process: one line when it fails, nothing left when it hangs."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from edgewise.deploy.child import last_line, run_child
from edgewise.errors import ExportError


def run(code: str, folder: Path, timeout_s: float = 20) -> None:
    run_child([sys.executable, "-S", "-c", code], task="the task", timeout_s=timeout_s, log=folder / "log.txt")


def test_success_is_silent(tmp_path, capfd):
    run("print('chatter')", tmp_path)
    assert capfd.readouterr() == ("", "")


def test_failure_is_the_last_meaningful_line(tmp_path):
    with pytest.raises(ExportError) as raised:
        run("def f():\n  raise ValueError('no such operator: aten::x')\nprint('noise')\nf()", tmp_path)
    assert str(raised.value) == "the task failed: ValueError: no such operator: aten::x"


def test_silent_failure_is_said(tmp_path):
    with pytest.raises(ExportError, match=r"^the task failed: it said nothing$"):
        run("import sys; sys.exit(3)", tmp_path)


def test_crash_names_the_signal(tmp_path):
    with pytest.raises(ExportError, match=r"^the task was killed by SIGSEGV; was there enough memory"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)


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


@pytest.mark.parametrize("ending", ["import time; time.sleep(60)", "pass"])
def test_no_process_outlives_the_call(tmp_path, ending):
    """A child that hangs, or ends, with a child of its own still running."""
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
{ending}
"""
    if ending == "pass":
        run(code, tmp_path)
    else:
        with pytest.raises(ExportError, match="the task took longer than 1 s and was stopped; allow it more time"):
            run(code, tmp_path, timeout_s=1)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(pid)


def test_interrupt_takes_the_child_along(tmp_path):
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(KeyboardInterrupt):
        run(code, tmp_path)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert gone(int((tmp_path / "pid").read_text()))
