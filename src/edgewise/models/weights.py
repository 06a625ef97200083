"""Loading weights into a model: whole and checked, or not at all; no file can run code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.errors import WeightsError, shown
from edgewise.models.state_candidates import choose_candidate
from edgewise.models.state_fitting import fit_state
from edgewise.models.weight_files import WeightFile, read_weight_file
from edgewise.models.weight_source import locate_weights

FINGERPRINT = "edgewise.sha256"
"""Metadata of a safetensors file: `sha256_of_state` of its tensors."""


@dataclass(frozen=True)
class LoadReport:
    """What was loaded and what had to be changed for it.

    Attributes:
        loaded: number of tensors.
        notes: one line each for unwrapped prefixes, casts, an adapted first convolution, a head that was left out.
        metadata: texts that the file carries beside its tensors.
        sha256: of the file.
    """

    loaded: int
    notes: tuple[str, ...]
    metadata: dict[str, str]
    sha256: str


def load_weights(
    model: nn.Module, source: str | Path, *, new_head: bool = False, allow_nonfinite: bool = False
) -> LoadReport:
    """Load weights into ``model`` in place; after an error the model is as it was.

    Args:
        model: its `state_dict` says which names, shapes and dtypes are wanted; keys under ``classifier.`` are its head.
        source: a safetensors or torch file (judged by content, not by name), a run's folder, or a hub id
            (``hf-hub:org/name[@revision]``).
        new_head: leave the file's head out and keep the model's own, as for other classes.
        allow_nonfinite: accept NaN and infinite values.

    Raises:
        WeightsError: the source cannot be read, is not of plain tensors, or does not fit the model.
        MissingExtraError: a hub id, and huggingface-hub is not installed.
    """
    path = locate_weights(source)
    file = read_weight_file(path)
    target = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    try:
        candidate = choose_candidate(file.content, target)
        tensors, notes = fit_state(model, candidate.entries, new_head=new_head, allow_nonfinite=allow_nonfinite)
    except WeightsError as error:
        raise WeightsError(f"{shown(path)} {error}") from error.__cause__
    _check_unaltered(path, file)
    with torch.no_grad():
        for name, tensor in tensors.items():
            target[name].copy_(tensor)
    return LoadReport(len(tensors), (*candidate.notes, *notes), file.metadata, file.sha256)


def _check_unaltered(path: Path, file: WeightFile) -> None:
    """Compare the tensors with the fingerprint that a run writes beside them."""
    stated = file.metadata.get(FINGERPRINT)
    if stated is not None and stated != sha256_of_state(file.content):
        raise WeightsError(
            f"{shown(path)} was altered after it was written: its tensors do not have the stated SHA-256"
        )


def read_metadata(path: Path) -> dict[str, str]:
    """Return the texts that a safetensors file carries beside its tensors; empty for other formats.

    Raises:
        WeightsError: the file cannot be read or is damaged.
    """
    return read_weight_file(path).metadata
