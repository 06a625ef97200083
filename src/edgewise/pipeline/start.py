"""Where a training starts: which weights, and how images are prepared for them."""

from __future__ import annotations

from dataclasses import dataclass

from edgewise.errors import ConfigError
from edgewise.models.model_folder import preprocessing_of
from edgewise.models.pretrained import first_choice
from edgewise.models.resolve import ModelSource, resolve
from edgewise.models.weight_source import locate_weights, shown_source
from edgewise.models.weights import read_metadata
from edgewise.records.artifact import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Start:
    """What training begins with."""

    img_size: int
    """Side in pixels where the person gives none."""
    weights: str | None
    """What `models.weights.load_weights` takes; None for fresh ones."""
    preprocessing: Preprocessing | None
    """How images were prepared for the weights; None where nobody said, and for fresh ones."""


def find_start(model: str, *, weights: str | None = None, pretrained: bool = False) -> Start:
    """Return where the training of ``model`` starts.

    Args:
        model: what `models.resolve` takes; ``NAME.TAG``, ``hf-hub:`` and ``local-dir:`` bring their weights.
        weights: start from these, whatever the name brings.
        pretrained: start from the published weights of the model's first choice.

    Raises:
        ConfigError: both ``weights`` and ``pretrained`` were given.
        WeightsError: the weights cannot be had, by what can be told without loading them.
        InputError: as `models.resolve.resolve`.
    """
    if weights is not None and pretrained:
        raise ConfigError("weights and pretrained both say where to start; give one of them")
    source = resolve(model)
    source.rows("training")
    if weights is None:
        if not (pretrained or source.names_weights):
            return Start(img_size=source.img_size, weights=None, preprocessing=None)
        weights = source.weights_source()
    recipe = _written_beside(weights) or source.preprocessing or _published(source)
    return Start(img_size=recipe.img_size if recipe else source.img_size, weights=weights, preprocessing=recipe)


def _written_beside(weights: str) -> Preprocessing | None:
    """Return what a run wrote into the file; None for other people's files."""
    return preprocessing_of(read_metadata(locate_weights(weights)), shown_source(weights))


def _published(source: ModelSource) -> Preprocessing | None:
    """Return how the model's own published weights see images: those of a file that says nothing are most likely like them."""
    tag = first_choice(source.name) if source.entry else None
    return tag.preprocessing() if tag else None
