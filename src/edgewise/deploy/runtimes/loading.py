"""What an engine raises on a file that it cannot load, as one line of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgewise.deploy.runtimes.sdk import one_line
from edgewise.errors import InputError, shown


@contextmanager
def loading(path: Path, engine: str) -> Iterator[None]:
    """Turn whatever ``engine`` raises inside into an `InputError` that names the file.

    Raises:
        InputError: something was raised.
    """
    try:
        yield
    except Exception as error:
        raise InputError(f"{shown(path)} cannot be loaded by {engine}: {one_line(error)}") from error
