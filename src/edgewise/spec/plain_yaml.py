"""YAML with plain scalars, lists and mappings: no tags, no aliases, no repeated keys, nothing nested without end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

import yaml

MAX_DEPTH: Final = 32

# libyaml's parser where PyYAML was built with it: some ten times faster, and its stack does not grow with the nesting
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(content: bytes) -> Any:
    """Return what the YAML text says, made of dict, list, str, int, float, bool and None.

    Raises:
        ValueError: it is not UTF-8 or no plain YAML; the message says where, in one line.
    """
    text = _decoded(content)
    try:
        _check_events(yaml.parse(text, Loader=_Loader))
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader, stricter
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"no plain YAML: {error.problem or error.context}{where}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"no plain YAML: {' '.join(str(error).split())}") from error


def load_json(content: bytes) -> Any:
    """Return what the JSON text says.

    Raises:
        ValueError: it is not UTF-8 or no JSON, repeats a key, or is nested too deeply; the message says it in one line.
    """
    try:
        return json.loads(_decoded(content), object_pairs_hook=_without_repetition)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} (line {error.lineno})") from error
    except RecursionError as error:
        raise ValueError("no plain JSON: it is nested too deeply") from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text (byte 0x{content[error.start]:02x} at {error.start})") from error


def _check_events(events: Iterable[yaml.Event]) -> None:
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases are not accepted ({_line(event)})")
        if getattr(event, "tag", None) is not None:
            raise yaml.YAMLError(f"tags are not accepted ({_line(event)})")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError(f"it is nested too deeply ({_line(event)})")


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark is not None else "line unknown"


def _without_repetition(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} is given twice")
        found[key] = value
    return found


class _PlainLoader(_Loader):  # type: ignore[misc]
    """Refuses repeated keys; reads ``1e-5`` as the number that it is, and dates as text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError(f"a key must be a word (line {key.start_mark.line + 1})")
            if key.value in seen:
                raise yaml.YAMLError(f"key {key.value!r} is given twice (line {key.start_mark.line + 1})")
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)
