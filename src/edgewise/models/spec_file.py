"""A network of your own as a YAML or JSON file, accepted wherever a model's name is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgewise.errors import SpecError, UnknownNameError, shown, suggestion
from edgewise.models import catalogue
from edgewise.models.regular_file import open_regular
from edgewise.spec.changes import with_changes
from edgewise.spec.model import ModelSpec
from edgewise.spec.plain_yaml import load_json, load_yaml
from edgewise.spec.text import spec_from_fields

SUFFIXES: Final = (".yaml", ".yml", ".json")
MAX_BYTES: Final = 512 * 1024
"""Ten times the longest spec of the catalogue; a file with a million rows is not even read."""
MAX_PARAMS: Final = 2_000_000_000
"""8 GB of weights, far beyond any network for a phone; a spec above is refused before memory is asked for."""


def is_spec_file(name: str) -> bool:
    """Return whether ``name`` is meant as a spec file: what it ends in decides, the file may be missing."""
    return name.lower().endswith(SUFFIXES)


def read_spec_file(path: str | Path) -> ModelSpec:
    """Read a network from a file.

    The file holds the fields of a `ModelSpec` (what ``edgewise info NAME --spec`` prints), or starts from a model of the catalogue:

        base: mobilenetv4_conv_small
        changes:
          stages[2][3].expand_ratio: 6
          num_classes: 10

    Without a ``name`` the network is called as the file is.

    Raises:
        SpecError: the file cannot be read, is no plain YAML or JSON, or describes no network that can be built; the message
            names the file, the place in it, what was given and what is accepted.
    """
    where = shown(path)
    fields = read_fields(Path(path), where)
    fields.setdefault("name", re.sub(r"[^A-Za-z0-9._-]", "_", Path(path).stem))
    if "base" in fields:
        fields = _on_base(fields, where)
    spec = spec_from_fields(fields, where)
    num_params = _num_params(spec)
    if num_params > MAX_PARAMS:
        raise SpecError(f"{where}: the network has {num_params:,} parameters; at most {MAX_PARAMS:,} are accepted")
    return spec


def read_fields(path: Path, where: str) -> dict[str, Any]:
    """Return the fields that a YAML or JSON file holds.

    Raises:
        SpecError: it cannot be read, is too large, or holds something else; the message starts with ``where``.
    """
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{where} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"{where} is larger than {MAX_BYTES:,} bytes; a spec is a short file, see edgewise info NAME --spec"
        )
    try:
        found = (load_json if path.suffix.lower() == ".json" else load_yaml)(content)
    except ValueError as error:
        raise SpecError(f"{where} is {error}") from error
    if not isinstance(found, dict):
        what = {type(None): "empty", list: "a list"}.get(type(found), f"the text {shown(found, 40)}")
        raise SpecError(f"{where} is {what}; accepted: a mapping of fields, as edgewise info NAME --spec prints it")
    return {str(key): value for key, value in found.items()}


def _on_base(fields: Mapping[str, Any], where: str) -> dict[str, Any]:
    accepted = ("base", "name", "changes")
    if unknown := sorted(fields.keys() - set(accepted)):
        hint = suggestion(unknown[0], accepted) or f"; beside base accepted: {', '.join(accepted[1:])}"
        raise SpecError(f"{where}: unknown field {shown(unknown[0])}{hint} (changes of single fields go under changes)")
    changes = fields.get("changes") or {}
    if not isinstance(changes, dict):
        raise SpecError(f"{where}: changes is {shown(changes, 40)}; must be a mapping from places to values")
    try:
        base = catalogue.find(str(fields["base"])).spec()
        changed = with_changes(base, {str(key): value for key, value in changes.items()})
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    except UnknownNameError as error:
        raise SpecError(f"{where}: base: {error}") from error
    return changed | {"name": fields["name"]}


def _num_params(spec: ModelSpec) -> int:
    """Return the number of parameters of ``spec``'s module, made without memory for them."""
    import torch

    from edgewise.models.build import build

    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(spec).parameters())
