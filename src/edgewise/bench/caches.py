"""The sizes of this processor's caches, as Linux tells them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal, cast

from edgewise.records.device import Cache

CPUS: Final = Path("/sys/devices/system/cpu")
UNITS: Final = {"K": 1024, "M": 1024**2, "G": 1024**3, "": 1}


def read_caches(core: int, root: Path = CPUS) -> tuple[Cache, ...]:
    """Return the data caches of ``core``, the fastest first; empty where the system does not tell them."""
    found = [_cache(folder) for folder in sorted((root / f"cpu{core}" / "cache").glob("index*"))]
    return tuple(sorted(filter(None, found), key=lambda cache: cache.level))


def _cache(folder: Path) -> Cache | None:
    try:
        level, kind, size, sharing = (
            (folder / name).read_text().strip() for name in ("level", "type", "size", "shared_cpu_list")
        )
    except OSError:
        return None
    matched = re.fullmatch(r"(\d+)([KMG]?)", size)
    if kind == "Instruction" or level not in ("1", "2", "3") or matched is None:
        return None
    return Cache(
        level=cast(Literal["L1", "L2", "L3"], f"L{level}"),
        size_bytes=int(matched[1]) * UNITS[matched[2]],
        num_sharing=_num_cores(sharing),
    )


def _num_cores(listed: str) -> int:
    """Return how many cores ``0-3,8`` names."""
    ends = [part.partition("-")[::2] for part in listed.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, last in ends)
