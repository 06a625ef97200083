"""One SHA-256 for the values of a state dict, whatever file or order they are kept in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def sha256_of_state(state_dict: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over names, dtypes, shapes and bytes of ``state_dict``.

    The order of the entries, the memory format and the device do not matter; every bit of every value does (so 0.0 and
    -0.0 differ). Each part is length-prefixed, so no two different states give the same bytes.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        tensor = state_dict[name]
        content = tensor_bytes(tensor)
        for part in (name, str(tensor.dtype), str(tuple(tensor.shape))):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        digest.update(content.nbytes.to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the values of ``tensor`` in row-major (C) order as bytes; a copy only where the layout asks for one."""
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    if not plain.numel():
        return memoryview(b"")
    return plain.reshape(-1).view(torch.uint8).numpy().data
