"""The parent's handle on one worker: orders out, answers in, and a sure end."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from edgewise.errors import BenchError, InputError, shown

COMMAND = (sys.executable, "-P", "-m", "edgewise.bench.worker")
"""``-P``: a file named like an SDK in the user's folder must not be imported in its place."""
QUIT_S = 2.0


class WorkerProcess:
    """A running worker; use it as a context manager, on whose exit the process is gone whatever happened."""

    def __init__(self, path: Path, threads: int, timeout_s: float, command: tuple[str, ...] = COMMAND) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._chatter = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._chatter,
            env={**os.environ, **limits},
        )
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, do: str, **details: object) -> dict[str, Any]:
        """Send one order and wait for its answer.

        Raises:
            InputError: the worker says that what it was given cannot be used.
            BenchError: the worker died, or gave no answer in time.
        """
        self.order(do, **details)
        return self.answer(do)

    def order(self, do: str, **details: object) -> None:
        """Send one order; its `answer` is to be asked for before the next.

        Raises:
            BenchError: the worker died.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps({"do": do, **details}) + "\n").encode())
            self._process.stdin.flush()
        except OSError as error:
            raise self._death() from error

    def answer(self, do: str) -> dict[str, Any]:
        """Wait for the answer to an order.

        Raises:
            InputError: the worker says that what it was given cannot be used.
            BenchError: the worker died, or gave no answer in time.
        """
        try:
            line = self._answers.get(timeout=self._timeout_s)
        except queue.Empty:
            self.kill()
            late = f"gave no answer to {do!r} within {self._timeout_s:g} s"
            raise BenchError(f"the process measuring {shown(self._path)} {late}{self._last_words()}") from None
        if not line:
            raise self._death()
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise (InputError if answer["is_input"] else BenchError)(answer["error"])
        return answer

    def kill(self) -> None:
        """End the process at once, if it still runs."""
        assert self._process.stdin is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def let_go(self) -> None:
        """Tell the process to end, and do not wait for it; `close` does."""
        with suppress(BenchError):  # it has ended already
            self.order("quit")

    def close(self) -> None:
        """Let the process end by itself, or end it after 2 s."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(QUIT_S)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.kill()
            self._chatter.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.put(line)
        self._answers.put(b"")

    def _death(self) -> BenchError:
        code = _exit_code(self._process)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return BenchError(f"the process measuring {shown(self._path)} {how}{self._last_words()}")

    def _last_words(self) -> str:
        self._chatter.seek(0)
        lines = [line.strip() for line in self._chatter.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return f"; its last line: {shown(lines[-1], limit=300)}" if lines else ""


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process whose output has ended; kills it if it lingers."""
    try:
        return process.wait(QUIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
