"""Running one command in a process group of its own, with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgewise.errors import ExportError


def run_child(command: Sequence[str], *, task: str, timeout_s: float, log: Path) -> None:
    """Run ``command`` to its end; nothing that it started outlives this call.

    Args:
        command: program and arguments; its output goes to ``log``.
        task: what it does, for messages, as in ``"conversion to onnx"``.
        timeout_s: seconds before it and all its children are killed.
        log: file for its output; replaced if it exists.

    Raises:
        ExportError: it failed, died or ran out of time; the message ends with its last meaningful line.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ExportError(f"{task} took longer than {timeout_s:g} s and was stopped; allow it more time") from error
        finally:
            _kill_group(process)
    if code < 0:
        raise ExportError(f"{task} was killed by {_signal_name(-code)}; was there enough memory?")
    if code > 0:
        raise ExportError(f"{task} failed: {last_line(log)}")


def last_line(log: Path) -> str:
    """Return the last line of ``log`` that is neither blank nor indented, cut to 300 characters."""
    lines = log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    meaningful = [line for line in lines if line.strip() and not line[0].isspace()]
    return meaningful[-1].strip()[:300] if meaningful else "it said nothing"


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # all gone already; macOS says the latter of dead ones
            return
    process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
