"""A process that does one conversion after the other: a broken or hanging SDK never takes the caller along.

Importing an SDK takes up to ten seconds, so the process stays for the next job of its format. It ends with the first job that fails.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from edgewise.errors import ExportError

# -P keeps the caller's folder off the child's path: a user's own torch.py must not stand in for torch.
COMMAND: Final = (sys.executable, "-P", "-m", "edgewise.deploy.convert")
DONE: Final = "done"
"""What the process answers when a job went well."""
MAX_JOBS: Final = 25
"""Jobs of one process: SDKs keep some memory of each."""


class Converter:
    """The caller's side; a context manager, on whose exit the process and all that it started are gone."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = list(command)
        self._folder = tempfile.TemporaryDirectory(prefix="edgewise-converter-")
        self._log = Path(self._folder.name) / "log.txt"
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._num_jobs = 0
        self._is_closed = False

    def run(self, job_file: Path, *, task: str, timeout_s: float) -> None:
        """Do one job to its end.

        What fails in a process that has done other jobs before is tried once more in a fresh one.

        Args:
            job_file: what to do, as in `convert.run_job`.
            task: what it does, for messages, as in ``"conversion to onnx"``.
            timeout_s: seconds before the process and all its children are killed.

        Raises:
            ExportError: it failed, died or ran out of time; the message ends with its last meaningful line.
        """
        if self._is_closed:
            raise ExportError(f"{task} was stopped")
        if self._process is not None and (self._num_jobs >= MAX_JOBS or self._process.poll() is not None):
            self.kill()
        is_fresh = self._process is None
        process = self._process or self._started()
        if self._does(process, job_file, task, timeout_s):
            return
        code = self._end(process)
        if self._is_closed:
            raise ExportError(f"{task} was stopped")
        if not is_fresh:
            self.run(job_file, task=task, timeout_s=timeout_s)
        elif code < 0:
            raise ExportError(f"{task} was killed by {_signal_name(-code)}; was there enough memory?")
        else:
            raise ExportError(f"{task} failed: {last_line(self._log)}")

    def kill(self) -> None:
        """End the process and its children at once, where there are any."""
        process, self._process = self._process, None
        if process is not None:
            _kill_group(process)
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()

    def close(self) -> None:
        """End the process, for good, and remove what was kept for it."""
        self._is_closed = True
        self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _does(self, process: subprocess.Popen[str], job_file: Path, task: str, timeout_s: float) -> bool:
        """Give the process a job, and say whether it went well."""
        assert process.stdin is not None
        self._log.write_bytes(b"")
        with suppress(BrokenPipeError):  # it is dead, which shows below
            process.stdin.write(f"{job_file.absolute()}\n")
            process.stdin.flush()
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty as error:
            self.kill()
            raise ExportError(f"{task} took longer than {timeout_s:g} s and was stopped; allow it more time") from error
        except BaseException:  # Ctrl-C
            self.kill()
            raise
        self._num_jobs += 1
        return answer.strip() == DONE

    def _started(self) -> subprocess.Popen[str]:
        self._log.touch()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        self._answers, self._num_jobs = queue.SimpleQueue(), 0
        threading.Thread(target=_listen, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def _end(self, process: subprocess.Popen[str]) -> int:
        """Return the exit code of ``process``, whose output has ended, and see that nothing of it is left."""
        try:
            code = process.wait(5)
        except subprocess.TimeoutExpired:
            code = -int(signal.SIGKILL)
        self.kill()
        return code


def _listen(process: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            answers.put(line)
    answers.put("")


def last_line(log: Path) -> str:
    """Return the last line of ``log`` that is neither blank nor indented, cut to 300 characters."""
    lines = log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    meaningful = [line for line in lines if line.strip() and not line[0].isspace()]
    return meaningful[-1].strip()[:300] if meaningful else "it said nothing"


def _kill_group(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # all gone already; macOS says the latter of dead ones
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
