"""The folder in which work is kept that would be slow to do again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return ``$EDGEWISE_CACHE``, ``$XDG_CACHE_HOME/edgewise`` or ``~/.cache/edgewise``; it may not exist yet."""
    if chosen := os.environ.get("EDGEWISE_CACHE"):
        return Path(chosen)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "edgewise"
    return Path.home() / ".cache" / "edgewise"
