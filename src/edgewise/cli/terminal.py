"""Writing to the terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Return the console for results: standard output."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def notes() -> Console:
    """Return the console for progress and messages: standard error, so that results can be piped."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say_error(text: str) -> None:
    """Write one line to standard error."""
    line = " ".join(text.splitlines())
    mark = "\x1b[31merror:\x1b[0m" if sys.stderr.isatty() else "error:"
    sys.stderr.write(f"{mark} {line}\n")


def print_json(value: object) -> None:
    """Write ``value`` as JSON to standard output."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        text.encode()
    except UnicodeEncodeError:
        # file names that are no UTF-8: escaped, they still name the same files
        text = json.dumps(value, indent=2)
    sys.stdout.write(text + "\n")
