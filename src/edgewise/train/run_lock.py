"""One process at a time in a run's folder."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from edgewise.errors import OutputError, shown

NAME = ".lock"
DYING_S = 1.0
"""A killed process may keep its lock for a moment, through a worker that was just being forked."""

HAS_FLOCK = importlib.util.find_spec("fcntl") is not None


class RunLock:
    """Holds a run's folder for this process, as a context manager; a dead process's lock is taken over.

    Where the system has flock, the file ``.lock`` stays: what counts is the kernel's lock on it, which ends with the
    process. Elsewhere the file itself is the lock.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            OutputError: another process holds it, or the folder cannot be written.
        """
        try:
            descriptor = self._open_flocked() if HAS_FLOCK else self._open_exclusive()
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except OSError as error:
            raise OutputError(f"{shown(self.path.parent)} cannot be written: {error.strerror}") from error
        self._descriptor = descriptor
        if hasattr(os, "register_at_fork"):
            # a forked loader worker that outlives a killed run would otherwise keep the run's lock
            os.register_at_fork(after_in_child=self._close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._descriptor is None:
            return
        if not HAS_FLOCK:
            self._close()
            self.path.unlink(missing_ok=True)
            return
        os.ftruncate(self._descriptor, 0)
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_flocked(self) -> int:
        import fcntl

        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + DYING_S
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    if self._holder_lives() or time.monotonic() > deadline:
                        raise self._held() from error
                    time.sleep(0.02)
                else:
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise

    def _open_exclusive(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            return os.open(self.path, flags, 0o644)
        except FileExistsError as error:
            if self._holder_lives():
                raise self._held() from error
        self.path.unlink(missing_ok=True)
        return os.open(self.path, flags, 0o644)

    def _holder(self) -> int | None:
        try:
            return int(self.path.read_bytes()[:20])
        except (OSError, ValueError):
            return None

    def _holder_lives(self) -> bool:
        pid = self._holder()
        return pid is not None and psutil.pid_exists(pid)

    def _held(self) -> OutputError:
        pid = self._holder()
        who = "another process" if pid is None else f"process {pid}"
        return OutputError(f"{shown(self.path.parent)} is in use by {who}; wait for it to end or choose another folder")
