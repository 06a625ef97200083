"""What is installed here, what works, and what to install for the rest. Installs nothing."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edgewise.data.cache import cache_folder
from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.deploy.runtimes.registry import availabilities, get_runtime
from edgewise.deploy.support import EXCEPTIONS, LEFT_OUT
from edgewise.records.environment import Environment, capture_environment

OPTIONAL = {
    "huggingface_hub": ("huggingface-hub", "edgewise[hub]", "weights from a hub"),
    "timm": ("timm", "edgewise[timm]", "timm:NAME, for comparison"),
}
REQUIRED = (
    "torch",
    "simplejpeg",
    "PIL",
    "sklearn",
    "matplotlib",
    "safetensors",
    "onnxscript",
)


CORE_RUNTIMES = ("onnxruntime", "torch")


@dataclass(frozen=True, kw_only=True)
class FormatSupport:
    """One export format, and what can be done with it here."""

    format: str
    precisions: tuple[str, ...]
    made_with: str
    """Packages with their versions, a line each, or what to install."""
    can_make: bool
    runtime: str
    can_run: bool
    exceptions: tuple[tuple[str, str], ...]
    """Families that it cannot hold, with the reason."""
    left_out: tuple[tuple[str, str], ...]
    """Precisions that it does not have on purpose, with the reason."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str
    required: bool = True


def examine() -> tuple[Environment, tuple[Check, ...]]:
    """Try every dependency and runtime; returns the environment and the checks in order."""
    checks = [_imports(name) for name in REQUIRED]
    for name, available in availabilities().items():
        detail = " ".join(filter(None, (available.version, available.reason)))
        checks.append(Check(name=f"runtime {name}", ok=available.ok, detail=detail, required=name in CORE_RUNTIMES))
    for module, (package, extra, purpose) in OPTIONAL.items():
        checks.append(_optional(module, package, extra, purpose))
    checks.append(_accelerator())
    checks.append(_cache())
    return capture_environment(), tuple(checks)


def format_support() -> tuple[FormatSupport, ...]:
    """Return the support matrix: every export format with its precisions, its packages and the families that it cannot hold."""
    found = []
    for exporter in EXPORTERS.values():
        packages = [(sdk.package, sdk.availability()) for sdk in exporter.sdks]
        lacking = [each.reason for _, each in packages if not each.ok]
        versions = "\n".join(f"{package} {each.version}" for package, each in packages)
        found.append(
            FormatSupport(
                format=exporter.format,
                precisions=tuple(exporter.precisions),
                made_with="\n".join(lacking) or versions,
                can_make=not lacking,
                runtime=exporter.runtime,
                can_run=get_runtime(exporter.runtime).availability().ok,
                exceptions=tuple(
                    (family, why) for (family, name), why in EXCEPTIONS.items() if name == exporter.format
                ),
                left_out=tuple(
                    (precision, why) for (name, precision), why in LEFT_OUT.items() if name == exporter.format
                ),
            )
        )
    return tuple(found)


def _imports(module: str) -> Check:
    try:
        found = importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 - whatever a broken package raises is the finding
        return Check(name=module, ok=False, detail=f"{type(error).__name__}: {' '.join(str(error).split())[:160]}")
    return Check(name=module, ok=True, detail=str(getattr(found, "__version__", "")))


def _optional(module: str, package: str, extra: str, purpose: str) -> Check:
    try:
        return Check(name=module, ok=True, detail=metadata.version(package), required=False)
    except metadata.PackageNotFoundError:
        return Check(name=module, ok=False, detail=f"not installed; {purpose}: pip install '{extra}'", required=False)


def _accelerator() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check(name="accelerator", ok=True, detail=torch.cuda.get_device_name(0), required=False)
    return Check(
        name="accelerator", ok=False, detail="none that torch can use; training runs on the CPU", required=False
    )


def _cache() -> Check:
    folder = cache_folder()
    nearest = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    import os

    writable = os.access(nearest, os.W_OK)
    return Check(
        name="cache folder", ok=writable, detail=str(folder) + ("" if writable else ", not writable"), required=False
    )
