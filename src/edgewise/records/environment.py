"""The machine and the versions under which a number was made."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from edgewise.records.record import Record

PACKAGES = (
    "edgewise",
    "torch",
    "torchvision",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "nncf",
    "ai-edge-litert",
    "litert-torch",
    "executorch",
    "ncnn",
    "pnnx",
    "coremltools",
    "numpy",
    "pillow",
    "simplejpeg",
)


class Environment(Record):
    """Where and with what a number was made."""

    made_at: str
    """UTC, ISO 8601, whole seconds."""
    python: str
    system: str
    machine: str
    cpu: str
    num_cores: int
    """Cores that this process may use."""
    memory_bytes: int
    versions: dict[str, str]
    """Installed version of each package of `PACKAGES`; absent ones are left out."""


def capture_environment() -> Environment:
    """Describe this machine and the installed packages, without importing any of them."""
    return Environment(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cpu=cpu_name(),
        num_cores=usable_cores(),
        memory_bytes=_memory_bytes(),
        versions=installed_versions(),
    )


def usable_cores() -> int:
    """Return how many cores this process may run on (CPU affinity respected)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def cpu_name() -> str:
    """Return the processor's own name, as the system reports it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def installed_versions() -> dict[str, str]:
    """Return the installed version of each package of `PACKAGES` that is there."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _memory_bytes() -> int:
    if sys.platform.startswith(("linux", "darwin")):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    import psutil

    return int(psutil.virtual_memory().total)
