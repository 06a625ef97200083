"""What an exported file says of itself, read back and compared with what was to be said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from edgewise.deploy.exporters.protocol import Exporter, ExportOptions
from edgewise.deploy.pictures import can_prepare, preparation_difference
from edgewise.deploy.runtimes.inputs import DescribesInputs
from edgewise.deploy.runtimes.protocol import Session
from edgewise.deploy.runtimes.quiet import quiet
from edgewise.deploy.runtimes.sdk import one_line
from edgewise.errors import ExportError, shown
from edgewise.records.artifact import Preprocessing


def check_description(
    path: Path, exporter: Exporter, described: Mapping[str, str], preprocessing: Preprocessing
) -> None:
    """Refuse a file whose own text (labels, preparation, origin) is not what `artifact.json` says.

    Pictures are also prepared, by the recipe that the file carries and as ``preprocessing`` asks for: an answer is right only
    for the right pixels.

    Args:
        path: the exported file.
        exporter: of its format, which reads the text back.
        described: what was to travel inside; more may.
        preprocessing: what `artifact.json` says.

    Raises:
        ExportError: the text cannot be read, or it or the pixels differ; the message says where.
    """
    carried = _carried(path, exporter)
    if carried is not None and (difference := text_difference(carried, described)):
        raise ExportError(difference)
    if can_prepare(preprocessing) and (
        difference := preparation_difference(_recipe(carried, preprocessing), preprocessing)
    ):
        raise ExportError(difference)


def check_input_name(session: Session, exporter: Exporter) -> None:
    """Refuse a file that cannot be fed by the name that `artifact.json` and the program beside it use.

    Raises:
        ExportError: it has not one input, or calls it otherwise.
    """
    names = [each.name for each in session.inputs] if isinstance(session, DescribesInputs) else []
    wanted = [ExportOptions().input_name]
    if exporter.names_input and names != wanted:
        raise ExportError(f"the file calls its inputs {names}; must be {wanted}")


def text_difference(carried: Mapping[str, str], described: Mapping[str, str]) -> str:
    """Return where the text ``carried`` is not as ``described``; empty where it is. More entries than those do not matter."""
    for key, wanted in described.items():
        if carried.get(key) != wanted:
            place, given_part, wanted_part = _first_difference(carried.get(key), wanted)
            return f"the file's own {key}{place} is {given_part}; must be {wanted_part}"
    return ""


def _first_difference(given: str | None, wanted: str) -> tuple[str, str, str]:
    """Return the first place in which two texts differ, and what stands there; of two JSON lists or objects, the first entry."""
    given_parts, wanted_parts = _parts(given or ""), _parts(wanted)
    if given_parts is not None and wanted_parts is not None:
        for key in [*wanted_parts, *given_parts]:
            ends = [shown(each[key]) if key in each else "absent" for each in (given_parts, wanted_parts)]
            if ends[0] != ends[1]:
                return f"[{key}]", ends[0], ends[1]
    return "", "absent" if given is None else shown(given), shown(wanted)


def _parts(text: str) -> dict[object, object] | None:
    """Return the entries of a JSON list or object; None where ``text`` is neither."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if isinstance(content, list):
        return dict(enumerate(content))
    return dict(content) if isinstance(content, dict) else None


def _carried(path: Path, exporter: Exporter) -> Mapping[str, str] | None:
    try:
        with quiet():
            return exporter.metadata(path)
    except Exception as error:
        raise ExportError(f"the file's own text cannot be read: {one_line(error)}") from error


def _recipe(carried: Mapping[str, str] | None, preprocessing: Preprocessing) -> Preprocessing:
    """Return the recipe that a file carries; ``preprocessing`` where its format holds none."""
    if carried is None or "preprocessing" not in carried:
        return preprocessing
    try:
        return Preprocessing.model_validate_json(carried["preprocessing"])
    except ValidationError as error:
        raise ExportError(f"the file's own preprocessing cannot be read: {one_line(error)}") from error
