"""Holding back what engines write to the terminal while they are imported and load a file; what is wrong they raise."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet() -> Iterator[None]:
    """Send the process's stdout and stderr nowhere, also what native code writes to the descriptors past anything in Python.

    Warnings of their Python parts are of no use to a caller either.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with (
            open(os.devnull, "w", encoding="utf-8") as sink,  # noqa: PTH123 - a device, not a path of anybody's
            redirect_stdout(sink),
            redirect_stderr(sink),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, before in zip((1, 2), kept, strict=True):
            os.dup2(before, descriptor)
            os.close(before)
        os.close(nowhere)
