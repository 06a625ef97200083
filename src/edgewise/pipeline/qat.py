"""Quantisation-aware training: where it starts, and with what settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewise.errors import ConfigError, ResumeMismatchError, shown
from edgewise.models.factory import create_model
from edgewise.models.network import Network
from edgewise.models.resolve import is_model_name, resolve
from edgewise.models.weight_files import read_weight_file
from edgewise.models.weight_source import shown_source
from edgewise.pipeline.classes import check_classes
from edgewise.pipeline.settings import completed_config
from edgewise.pipeline.trained import load_trained
from edgewise.records.artifact import Preprocessing
from edgewise.records.training import InitialWeights, TrainRecord
from edgewise.train.config import TrainConfig, load_config
from edgewise.train.initial_weights import LoadedStart
from edgewise.train.recipes.from_scratch import from_scratch, quantisation_aware
from edgewise.train.run_folder import RunFolder

SET_BY_CHECKPOINT = (
    "model",
    "recipe",
    "img_size",
    "weights",
    "pretrained",
    "width_mult",
    "drop_rate",
    "drop_path_rate",
    "amp",
)
"""Options that make no sense beside a checkpoint: it says what they would, or int8 leaves no choice."""


@dataclass(frozen=True, kw_only=True)
class QatStart:
    """A trained network to go on with."""

    source: str
    """As a person called it."""
    loaded: LoadedStart
    """The fused network; its branches and norms are part of its convolutions."""
    labels: tuple[str, ...]
    """Empty where nobody knows them."""
    preprocessing: Preprocessing
    run: TrainConfig | None
    """The settings of the run that made it; None where there is no such run at hand."""
    num_epochs: int | None
    """That the run took; None where that is not known."""

    def config(self, num_images: int, overrides: Mapping[str, Any]) -> TrainConfig:
        """Return the settings for ``num_images`` training images, with what the person gave on top.

        Raises:
            ConfigError: a setting is unknown or out of range.
        """
        name, img_size = self.loaded.network.spec.name, self.preprocessing.img_size
        own = from_scratch(name, img_size, num_images)
        before = self.run or own
        recipe = before if before.qat else quantisation_aware(before, self.num_epochs or own.epochs)
        fields = recipe.model_dump() | {
            "model": name,
            "weights": self.source,
            "preprocessing": self.preprocessing.model_dump(),
        }
        return completed_config(fields, {key: value for key, value in overrides.items() if value is not None})

    def check_data(self, labels: Sequence[str]) -> None:
        """Refuse a data set with other classes.

        Raises:
            ResumeMismatchError: the classes, or their numbers where their names are not known, differ.
        """
        check_classes(self.source, self.labels, labels, todo="train")
        num_classes = self.loaded.network.spec.num_classes
        if num_classes != len(labels):
            raise ResumeMismatchError(
                f"{shown(self.source)} knows {num_classes} classes, the data set has {len(labels)}; "
                f"train it on these classes first, then give that run to qat"
            )


def check_options(given: Mapping[str, object]) -> None:
    """Refuse options that a checkpoint decides.

    Raises:
        ConfigError: some were given.
    """
    needless = [name for name in SET_BY_CHECKPOINT if given.get(name) not in (None, False)]
    if needless:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in needless)
        raise ConfigError(f"qat trains its checkpoint as it is, in float32 and without dropout; leave out {options}")


def find_qat_start(source: str) -> QatStart:
    """Load what ``--qat`` names: a run's folder, its ``best.safetensors``, or a name with published weights.

    Raises:
        InputError: it is nothing of the kind, or its weights cannot be had.
    """
    path = Path(source)
    if is_model_name(source) and not path.is_dir():
        return _of_name(source)
    trained = load_trained(source)
    folder = RunFolder(path if path.is_dir() else path.absolute().parents[1])
    weights = folder.best if path.is_dir() else path
    is_of_run = folder.best.is_file() and folder.config.is_file() and weights.samefile(folder.best)
    return QatStart(
        source=source,
        loaded=_loaded(trained.model, source, read_weight_file(weights).sha256),
        labels=trained.labels,
        preprocessing=trained.preprocessing,
        run=load_config(folder.config) if is_of_run else None,
        num_epochs=_num_epochs(folder) if is_of_run else None,
    )


def _of_name(source: str) -> QatStart:
    resolve(source).rows("quantisation-aware training")
    model = create_model(source, pretrained=True)
    assert isinstance(model, Network)
    return QatStart(
        source=source,
        loaded=_loaded(model, model.weights_source or source, model.weights_sha256 or ""),
        labels=(),
        preprocessing=model.preprocessing,
        run=None,
        num_epochs=None,
    )


def _loaded(model: object, source: str, sha256: str) -> LoadedStart:
    assert isinstance(model, Network)
    return LoadedStart(model.fuse(), InitialWeights(source=shown_source(source), sha256=sha256))


def _num_epochs(folder: RunFolder) -> int | None:
    """Return how many epochs a run took; None where it has not ended."""
    if not folder.train_record.is_file():
        return None
    return TrainRecord.load(folder.train_record).epochs[-1].epoch
