"""The fingerprints of weights and files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn


def state_sha256(model: nn.Module) -> str:
    """Return the sha256 of a model's state: name, dtype, shape and bytes of each tensor, in order of name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name}|{plain.dtype}|{tuple(plain.shape)}|".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of the file at ``path``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
