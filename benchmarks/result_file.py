"""The form of all records under results/: what was run, where, what came out, and whether it met its limit."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewise.records.environment import capture_environment
from edgewise.records.files import write_atomically

RESULTS = Path(__file__).parents[1] / "results"


def save_result(out: Path, *, command: str, environment: Mapping[str, Any] | None = None, **content: Any) -> None:
    """Write one JSON record: the command, the machine with its versions, and the script's own content."""
    env = environment or capture_environment().model_dump(mode="json")
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"command": command, "environment": env, **content}
    write_atomically(out, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    print(f"written: {out.name}")


def this_command() -> str:
    """Return how the running script was called, file names without their folders."""
    arguments = [Path(each).name if each.startswith(("/", "~")) else each for each in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments])


def check(what: str, value: float, limit: float, unit: str, *, at_least: bool = False) -> dict[str, Any]:
    """Print one figure beside its limit and return both."""
    passed = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    print(f"{'pass' if passed else 'FAIL'}  {what}: {value:.4g} {unit} ({sign} {limit:g})")
    return {"what": what, "value": value, "limit": limit, "unit": unit, "at_least": at_least, "passed": passed}


def without_folders(text: str, folders: Mapping[str, str]) -> str:
    """Replace absolute paths of this machine, plain and as HTML writes them.

    Args:
        text: of a record or a report.
        folders: what to put for each absolute path; the longest is replaced first.
    """
    for path in sorted(folders, key=len, reverse=True):
        for form in {path, html.escape(path), html.escape(path, quote=False)}:
            text = text.replace(form, folders[path])
    return text
