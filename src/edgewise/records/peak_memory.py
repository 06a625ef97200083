"""The memory that this process has needed; light, as the timing workers import it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def peak_rss_bytes() -> int:
    """Return the largest resident size that this process had since its program was started.

    Not `getrusage` on Linux: its figure is inherited from the parent, which may hold far more.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    if os.name == "nt":
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset", 0))
    import resource

    # bytes on macOS, kibibytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
