"""Loading weights into a model: whole and checked, or not at all; no file can run code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.errors import WeightsError, shown
from edgewise.models.deployed_form import deployed_form, training_form
from edgewise.models.described import remember_weights
from edgewise.models.foreign.layout import ForeignLayout
from edgewise.models.network import FeatureNetwork, Network
from edgewise.models.state_candidates import Candidate, choose_candidate, find_candidates
from edgewise.models.state_fitting import fit_state
from edgewise.models.state_naming import namings_of
from edgewise.models.weight_files import WeightFile, read_weight_file
from edgewise.models.weight_source import locate_weights, shown_source
from edgewise.spec.model import ModelSpec

FINGERPRINT = "edgewise.sha256"
"""Metadata of a safetensors file: `sha256_of_state` of its tensors."""


@dataclass(frozen=True)
class LoadReport:
    """What was loaded and what had to be changed for it.

    Attributes:
        loaded: number of tensors.
        notes: one line each for unwrapped prefixes, names of another layout, casts, adapted first convolutions, a head that
            was left out, and whatever else was changed in the tensors or in the model.
        metadata: texts that the file carries beside its tensors.
        sha256: of the file.
    """

    loaded: int
    notes: tuple[str, ...]
    metadata: dict[str, str]
    sha256: str


def load_weights(
    model: nn.Module, source: str | Path, *, new_head: bool | None = False, allow_nonfinite: bool = False
) -> LoadReport:
    """Load weights into ``model`` in place; after an error the model is as it was.

    The model then says itself which file it was: ``weights_sha256``, ``weights_source`` and ``weights_notes``, which `export`
    writes into what it makes.

    Understood are files in the model's own layout (timm's names; for Mobile-Former its authors') and in those of
    `models.foreign`: torchvision's MobileNetV2 and V3, and what the authors of RepVGG, MobileOne and RepViT publish. Fused files
    go into fused models, others into models in training form.

    Args:
        model: its `state_dict` says which names, shapes and dtypes are wanted, its layout which of them are its head; elsewhere
            that is what lies under ``classifier.``.
        source: a safetensors or torch file (judged by content, not by name), a run's folder, or a hub id
            (``hf-hub:org/name[@revision]``).
        new_head: leave the file's head out and keep the model's own, as for other classes; None = only where it does not fit.
        allow_nonfinite: accept NaN and infinite values.

    Raises:
        WeightsError: the source cannot be read, is not of plain tensors, or does not fit the model.
        MissingExtraError: a hub id, and huggingface-hub is not installed.
    """
    path = locate_weights(source)
    file = read_weight_file(path)
    target = _state_of(model)
    place = ""
    try:
        candidates = find_candidates(file.content, namings_of(target, _spec_of(model)))
        try:
            candidate = choose_candidate(candidates, target)
            place = f" ({candidate.place})" if candidate.place else ""
            tensors, notes = fit_state(model, candidate, new_head=new_head, allow_nonfinite=allow_nonfinite)
        except WeightsError:
            _check_form(model, file, candidates)
            raise
    except WeightsError as error:
        raise WeightsError(f"{shown(path)}{place} {error}") from error.__cause__
    _check_unaltered(path, file)
    with torch.no_grad():
        for name, tensor in tensors.items():
            target[name].copy_(tensor)
    notes += _adopt_norm(model, candidate.layout)
    report = LoadReport(len(tensors), (*candidate.notes, *notes), file.metadata, file.sha256)
    remember_weights(model, sha256=report.sha256, source=shown_source(source), notes=report.notes)
    return report


def _state_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def _spec_of(model: nn.Module) -> ModelSpec | None:
    return model.spec if isinstance(model, Network | FeatureNetwork) else None


def _check_form(model: nn.Module, file: WeightFile, candidates: Sequence[Candidate]) -> None:
    """Say so if ``file`` fits the other form of ``model`` better: training form or fused.

    Raises:
        WeightsError: it does.
    """
    spec = _spec_of(model)
    if spec is None:
        return
    target = _state_of(model)
    training, deployed = training_form(spec), deployed_form(spec)
    is_deployed = len(target.keys() & (deployed.keys() - training.keys())) > 0
    other = training if is_deployed else deployed
    others = find_candidates(file.content, namings_of(other, spec))
    if max(each.num_fitting(other) for each in others) <= max(each.num_fitting(target) for each in candidates):
        return
    if is_deployed:
        raise WeightsError(
            "is of a network in training form, the model is fused; load first and fuse then: load_weights(model, file), model.fuse()"
        )
    raise WeightsError(
        "is of a fused network, the model is in training form; fuse the model first: load_weights(model.fuse(), file)"
    )


def _adopt_norm(model: nn.Module, layout: ForeignLayout | None) -> list[str]:
    """Give the batch norms of ``model`` the settings with which files of ``layout`` were trained; others shift the answers silently."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if layout is None or not norms:
        return []
    notes = []
    for setting in ("eps", "momentum"):
        was, wanted = getattr(norms[0], setting), getattr(layout.norm, setting)
        if was != wanted:
            notes.append(f"batch norm {setting} {was} -> {wanted}, as {layout.title} is trained")
        for norm in norms:
            setattr(norm, setting, wanted)
    if isinstance(model, Network | FeatureNetwork):
        model.spec = model.spec.model_copy(update={"norm": layout.norm})
    return notes


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
