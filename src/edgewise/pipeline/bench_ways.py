"""In what ways a bench measures: runtimes, precisions and thread counts, checked before anything is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgewise.bench.limits import check_max_ms, check_threads
from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.runtimes.registry import RUNTIMES, get_runtime
from edgewise.errors import ConfigError, MissingExtraError, unknown_name
from edgewise.models.catalogue import CATALOGUE, list_models
from edgewise.pipeline.settings import check_img_size
from edgewise.records.bench import BenchRequest

ALL = "all"
DEFAULT_RUNTIME = "onnxruntime"


def check_request(request: BenchRequest) -> None:
    """Refuse what cannot be measured here.

    Raises:
        ConfigError: a number is out of range.
        UnknownNameError: no such runtime or precision.
        MissingExtraError: a runtime is not installed, or does not exist for this platform.
    """
    for threads in request.threads:
        check_threads(threads)
    if request.batch < 1:
        raise ConfigError(f"batch is {request.batch}; must be 1 or more")
    if request.launches < 1:
        raise ConfigError(f"launches is {request.launches}; must be 1 or more")
    if request.img_size is not None:
        check_img_size(request.img_size)
    if request.max_ms is not None:
        check_max_ms(request.max_ms)
    for runtime in request.runtimes:
        available = get_runtime(runtime).availability() if runtime != ALL else None
        if available is not None and not available.ok:
            raise MissingExtraError(f"{runtime} cannot be used here: {available.reason}")
    known = {each for exporter in EXPORTERS.values() for each in exporter.precisions}
    for precision in request.precisions:
        if precision not in known | {ALL}:
            raise unknown_name("precision", precision, known | {ALL})
    if not ways(request):
        offers = "; ".join(f"{name} has {', '.join(EXPORTERS[name].precisions)}" for name in formats(request))
        raise ConfigError(f"precision is {', '.join(request.precisions)}, which none of the runtimes has: {offers}")


def named(what: Sequence[str], *, all_: bool = False) -> tuple[str, ...]:
    """Return ``what`` with patterns of names replaced by the models that they match, smallest first.

    Args:
        what: names, paths and patterns such as ``mobilenetv4_*``.
        all_: the whole catalogue instead.

    Raises:
        ConfigError: nothing is named, or names and ``all_`` are.
        UnknownNameError: a pattern matches no model.
    """
    if all_ == bool(what):
        raise ConfigError("name what to measure: models, runs, exported files; or give --all for every model, not both")
    found: dict[str, None] = {}
    for each in what or ("*",):
        if not any(sign in each for sign in "*?[") or Path(each).exists():
            found[each] = None
            continue
        names = list_models(each)
        if not names:
            raise unknown_name("model", each, CATALOGUE)
        found |= dict.fromkeys(sorted(names, key=lambda name: CATALOGUE[name].macs_fused))
    return tuple(found)


def formats(request: BenchRequest) -> list[str]:
    """Return the formats that models and runs are exported to."""
    if ALL not in request.runtimes:
        return [get_runtime(name).formats[0] for name in request.runtimes or (DEFAULT_RUNTIME,)]
    return [runtime.formats[0] for runtime in RUNTIMES.values() if runtime.availability().ok]


def ways(request: BenchRequest) -> list[tuple[str, str]]:
    """Return the formats with the precisions of each that are asked for."""
    return [
        (format_, precision)
        for format_ in formats(request)
        for precision in EXPORTERS[format_].precisions
        if precision in request.precisions or ALL in request.precisions
    ]
