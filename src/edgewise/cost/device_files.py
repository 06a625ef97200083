"""Device profiles: those that come with Edgewise, this machine's own, and files of a user's."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from edgewise.data.cache import cache_folder
from edgewise.errors import ConfigError, InputError, OutputError, shown, suggestion, unknown_name
from edgewise.records.device import DeviceProfile
from edgewise.records.environment import cpu_name, usable_cores
from edgewise.records.files import write_atomically
from edgewise.spec.plain_yaml import load_json, load_yaml

THIS_CPU: Final = "this-cpu"
SUFFIXES: Final = (".yaml", ".yml", ".json")
MAX_BYTES: Final = 512 * 1024
MAX_SHOWN: Final = 3
UNITS: Final[Mapping[str, str]] = {
    "macs_per_s": "multiply-accumulates a second, as in 2.2e+10 (half of what TOPS and FLOPS count)",
    "bytes_per_s": "bytes a second, as in 3.4e+10 (no bits, no GB)",
    "size_bytes": "bytes, as in 32768",
}
"""What numbers of these fields are in, for messages."""


def device_names() -> list[str]:
    """Return the names of the profiles that come with Edgewise, in alphabetical order."""
    folder = resources.files(__package__).joinpath("devices")
    return sorted(Path(each.name).stem for each in folder.iterdir() if each.name.endswith(".yaml"))


def find_device(name: str) -> DeviceProfile:
    """Return the profile called ``name``, this machine's for ``this-cpu``, or the one in a YAML or JSON file.

    Raises:
        UnknownNameError: no such profile; near ones are suggested.
        InputError: this machine was not measured yet, or the file cannot be used.
    """
    if name == THIS_CPU:
        return this_cpu()
    if name.lower().endswith(SUFFIXES):
        return read_device_file(Path(name))
    if name not in (known := device_names()):
        raise unknown_name("device", name, [THIS_CPU, *known])
    content = resources.files(__package__).joinpath("devices", f"{name}.yaml").read_bytes()
    return parse_device(load_yaml(content), f"device {name}")


def this_cpu_path() -> Path:
    """Return where this machine's profile is kept; another processor, or another number of cores, has another file."""
    cpu = "".join(each if each.isalnum() else "-" for each in cpu_name())[:80]
    return cache_folder() / "devices" / f"{cpu}-{usable_cores()}.json"


def this_cpu() -> DeviceProfile:
    """Return the profile that was measured on this very machine: the same processor with as many cores.

    Raises:
        InputError: there is none, or its file is damaged.
    """
    path = this_cpu_path()
    if not path.exists():
        raise InputError(f"{THIS_CPU} was not measured yet; run: edgewise device measure")
    profile = read_device_file(path)
    machine = profile.environment
    if machine is None or (machine.cpu, machine.num_cores) != (cpu_name(), usable_cores()):
        raise InputError(f"{shown(path)} is of another machine; run: edgewise device measure")
    return profile


def read_device_file(path: Path) -> DeviceProfile:
    """Read a profile from a YAML or JSON file.

    Raises:
        InputError: the file cannot be read.
        ConfigError: it is no plain YAML or JSON, or no profile: fields are missing or unknown, numbers are absurd or no numbers.
    """
    where = shown(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{where} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{where} is larger than {MAX_BYTES:,} bytes; a device profile is a short file")
    try:
        found = (load_json if path.suffix.lower() == ".json" else load_yaml)(content)
    except ValueError as error:
        raise ConfigError(f"{where} is {error}") from error
    return parse_device(found, where)


def parse_device(fields: Any, where: str) -> DeviceProfile:
    """Return the profile that ``fields`` describe.

    Raises:
        ConfigError: they describe none; the message names the place, what was given and what is accepted.
    """
    if not isinstance(fields, dict):
        raise ConfigError(
            f"{where} is no device profile; accepted: a mapping of fields, as edgewise device show NAME --json prints it"
        )
    try:
        return DeviceProfile.model_validate(fields)
    except ValidationError as error:
        details = error.errors()
        more = f"; … ({len(details)} in all)" if len(details) > MAX_SHOWN else ""
        raise ConfigError(f"{where}: {'; '.join(map(_problem, details[:MAX_SHOWN]))}{more}") from error


def check_device_path(path: Path) -> None:
    """Refuse a name that says neither YAML nor JSON, and a folder.

    Raises:
        ConfigError: it is one.
    """
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise ConfigError(
            f"{shown(path)} is no name for a device profile; accepted: files that end in {', '.join(SUFFIXES)}"
        )


def write_device_file(profile: DeviceProfile, path: Path) -> None:
    """Write ``profile`` as JSON or, by the file's name, as YAML; absent fields are left out.

    Raises:
        ConfigError: as `check_device_path`.
        OutputError: ``path`` cannot be written.
    """
    check_device_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".json":
            profile.save(path)
        else:
            fields = profile.model_dump(mode="json", exclude_none=True)
            write_atomically(path, yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120).encode())
    except OSError as error:
        raise OutputError(f"{shown(path)} cannot be written: {error.strerror}") from error


def _problem(detail: Any) -> str:
    """Return one of pydantic's faults in our words."""
    loc, kind, given = detail["loc"], detail["type"], detail["input"]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if kind == "extra_forbidden":
        known = _fields_at(loc[:-1])
        near = suggestion(str(loc[-1]), known)
        return f"unknown field {shown(place)}{near or '; accepted: ' + ', '.join(known)}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "value_error":
        return f"{place + ': ' if place else ''}{detail['ctx']['error']}"
    unit = UNITS.get(str(loc[-1]) if loc else "", "")
    return f"{place or 'the whole'} is {_given(given)}; {_accepted(kind, detail)}{f' {unit}' if unit else ''}"


def _accepted(kind: str, detail: Any) -> str:
    ctx = detail.get("ctx", {})
    match kind:
        case "greater_than_equal":
            return f"must be at least {ctx['ge']:g}"
        case "less_than_equal":
            return f"must be at most {ctx['le']:g}"
        case "greater_than":
            return f"must be above {ctx['gt']:g}"
        case "less_than":
            return f"must be below {ctx['lt']:g}"
        case "literal_error":
            return f"accepted: {ctx['expected']}"
        case "float_parsing" | "float_type" | "finite_number":
            return (
                "must be a number, without a unit behind it:" if _is_unit_field(detail) else "must be a finite number"
            )
        case _:
            return str(detail["msg"])[:1].lower() + str(detail["msg"])[1:]


def _is_unit_field(detail: Any) -> bool:
    return bool(detail["loc"]) and detail["loc"][-1] in UNITS


def _given(value: object) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return {dict: "a mapping", list: "a list", type(None): "empty"}.get(type(value)) or shown(value, 40)


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Return the fields of the record at a place in a profile."""
    record: type[BaseModel] = DeviceProfile
    for part in loc:
        if isinstance(part, str):
            record = next(each for each in _records_in(record.model_fields[part].annotation))
    return sorted(record.model_fields)


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for each in get_args(annotation) for found in _records_in(each)]
