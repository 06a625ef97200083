"""Latencies measured earlier on this machine, so that `fit` does not measure its candidates each time."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from edgewise.data.cache import cache_folder
from edgewise.records.environment import cpu_name, installed_versions, usable_cores
from edgewise.records.files import write_atomically

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class LatencyKey:
    """All that a latency depends on; another value of any field is another measurement."""

    cpu: str
    num_cores: int
    runtime: str
    runtime_version: str
    threads: int
    edgewise_version: str
    spec_sha256: str
    img_size: int
    precision: str

    @classmethod
    def here(
        cls, *, runtime: str, runtime_version: str, threads: int, spec_sha256: str, img_size: int, precision: str
    ) -> LatencyKey:
        """Return the key for this machine and this version of Edgewise."""
        return cls(
            cpu=cpu_name(),
            num_cores=usable_cores(),
            runtime=runtime,
            runtime_version=runtime_version,
            threads=threads,
            edgewise_version=installed_versions().get("edgewise", ""),
            spec_sha256=spec_sha256,
            img_size=img_size,
            precision=precision,
        )

    def text(self) -> str:
        """Return the key as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)


def default_path() -> Path:
    """Return the cache's file in Edgewise's cache folder."""
    return cache_folder() / "latency.json"


class LatencyCache:
    """A JSON file of latencies in ms.

    Attributes:
        was_damaged: whether the file held something else than a cache; it counts as empty and is rewritten by `put`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path if path is not None else default_path()
        self._latencies, self.was_damaged = _read(self._path)

    def get(self, key: LatencyKey) -> float | None:
        """Return the latency in ms that was stored under ``key``, if any."""
        return self._latencies.get(key.text())

    def put(self, key: LatencyKey, latency_ms: float) -> bool:
        """Store a latency; returns False where the file cannot be written, and the cache then lasts for this process.

        Entries that another process stored meanwhile are kept.
        """
        self._latencies = {**self._latencies, **_read(self._path)[0], key.text(): latency_ms}
        content = {"format": FORMAT, "latencies_ms": self._latencies}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
        except OSError:
            return False
        return True


def _read(path: Path) -> tuple[dict[str, float], bool]:
    """Return the entries at ``path`` and whether there was something else than entries."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}, False
    except (OSError, ValueError, RecursionError):
        return {}, True
    latencies = content.get("latencies_ms") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(latencies, dict) or not all(map(_is_latency, latencies.values())):
        return {}, True
    return latencies, False


def _is_latency(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
