"""A cache of the Hugging Face hub as huggingface_hub itself lays it out, without a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from huggingface_hub import constants


def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what HF_HUB_CACHE and HF_HUB_OFFLINE=1 do, which huggingface_hub reads when it is imported."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def put(cache: Path, repository: str, files: Mapping[str, bytes | dict[str, object]], revision: str = "main") -> None:
    """Put ``files`` into the cache as ``repository`` at ``revision``; a mapping becomes JSON."""
    root = cache / f"models--{repository.replace('/', '--')}"
    commit = hashlib.sha1(revision.encode()).hexdigest()
    for folder in ("refs", "blobs", f"snapshots/{commit}"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "refs" / revision).write_text(commit)
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        blob = root / "blobs" / hashlib.sha256(raw).hexdigest()
        blob.write_bytes(raw)
        (root / "snapshots" / commit / name).symlink_to(Path("..", "..", "blobs", blob.name))
