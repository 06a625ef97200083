"""A finished run as something to use: its best model with labels and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgewise.errors import InputError, WeightsError, shown
from edgewise.models.deployed_form import network_of
from edgewise.models.described import remember_weights
from edgewise.models.weights import load_weights, read_metadata
from edgewise.records.artifact import Preprocessing
from edgewise.spec.model import ModelSpec
from edgewise.spec.text import parse_spec
from edgewise.train.config import load_config
from edgewise.train.initial_weights import initial_of
from edgewise.train.run_folder import RunFolder, open_run_folder


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model in eval mode and what belongs to it."""

    name: str
    model: nn.Module
    spec: ModelSpec | None
    """Its rows; None for a model of timm's."""
    labels: tuple[str, ...]
    preprocessing: Preprocessing

    @torch.inference_mode()
    def logits(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer normalised images: (N, C, S, S) to (N, num_classes)."""
        answers: NDArray[np.float32] = self.model(torch.from_numpy(images)).numpy()
        return answers


def load_run(folder: RunFolder) -> Trained:
    """Load the best weights of a run.

    Raises:
        WeightsError: the run has no best weights yet, or the file is damaged.
    """
    if not folder.best.is_file():
        raise WeightsError(
            f"{shown(folder.path)} has no best weights yet; go on with: edgewise train --resume {folder.path}"
        )
    spec = parse_spec(folder.model_spec.read_bytes(), shown(folder.model_spec))
    config = load_config(folder.config)
    model = network_of(spec, read_metadata(folder.best))
    _load(model, folder.best)
    return Trained(
        name=spec.name,
        model=model.eval(),
        spec=spec,
        labels=tuple(folder.labels.read_text(encoding="utf-8").splitlines()),
        preprocessing=config.preprocessing,
    )


def load_trained(source: str) -> Trained:
    """Load a run's folder, or a ``best.safetensors`` that a run wrote.

    Raises:
        InputError: the path is neither.
        WeightsError: the weights cannot be loaded.
    """
    path = Path(source)
    if path.is_dir():
        return load_run(open_run_folder(path))
    if path.is_file():
        return load_weights_file(path)
    raise InputError(f"{shown(source)} is neither a run's folder nor a weights file; runs lie under runs/")


def load_weights_file(path: Path) -> Trained:
    """Load a weights file that carries its own spec, labels and preprocessing (`weights/best.safetensors`).

    Raises:
        WeightsError: the file is damaged, or carries no spec.
    """
    metadata = read_metadata(path)
    if "edgewise.spec" not in metadata:
        raise WeightsError(
            f"{shown(path)} carries no model description; give the folder of the run, or weights/best.safetensors of one"
        )
    spec = parse_spec(metadata["edgewise.spec"], shown(path))
    model = network_of(spec, metadata)
    _load(model, path)
    return Trained(
        name=spec.name,
        model=model.eval(),
        spec=spec,
        labels=tuple(metadata["edgewise.labels"].split("\n")),
        preprocessing=Preprocessing.model_validate_json(metadata["edgewise.preprocessing"]),
    )


def _load(model: nn.Module, path: Path) -> None:
    """Load weights that a run wrote; ``model`` then says which file's weights their training started from, where it did."""
    initial = initial_of(load_weights(model, path).metadata)
    if initial is not None:
        remember_weights(model, sha256=initial.sha256, source=initial.source, notes=initial.notes)
