import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from edgewise.errors import OutputError
from edgewise.train import run_lock
from edgewise.train.run_lock import RunLock

HOLDER = """
import os, sys, time
from pathlib import Path
from edgewise.train.run_lock import RunLock
with RunLock(Path(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(20)  # a loader worker that outlives its killed parent
        os._exit(0)
    print("held", flush=True)
    time.sleep(20)
"""


def test_a_second_process_is_refused_at_once_and_a_killed_ones_lock_is_taken_over(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        start = time.monotonic()
        with pytest.raises(OutputError, match=f"is in use by process {holder.pid}; wait for it") as caught:
            RunLock(tmp_path).__enter__()
        assert time.monotonic() - start < 2
        assert caught.value.exit_code == 2
        holder.kill()
        holder.wait()
        with RunLock(tmp_path):
            assert (tmp_path / ".lock").read_text() == str(os.getpid())
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        holder.stdout.close()


@pytest.mark.parametrize("has_flock", [True, False])
def test_locks_exclude_each_other_and_are_free_afterwards(tmp_path, monkeypatch, has_flock):
    monkeypatch.setattr(run_lock, "HAS_FLOCK", has_flock)
    with RunLock(tmp_path), pytest.raises(OutputError, match=f"in use by process {os.getpid()};"):
        RunLock(tmp_path).__enter__()
    with pytest.raises(RuntimeError), RunLock(tmp_path):
        raise RuntimeError
    with RunLock(tmp_path):
        pass


@pytest.mark.parametrize("content", ["4194305", "", "not a number"])
def test_without_flock_a_dead_process_is_taken_over(tmp_path, monkeypatch, content):
    monkeypatch.setattr(run_lock, "HAS_FLOCK", False)
    (tmp_path / ".lock").write_text(content)
    with RunLock(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    assert not (tmp_path / ".lock").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def read_only(*args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        with pytest.raises(OutputError, match=r"cannot be written: Read-only file system"):
            RunLock(tmp_path).__enter__()
    with pytest.raises(OutputError, match=r"cannot be written: No such file or directory"):
        RunLock(tmp_path / "missing").__enter__()
