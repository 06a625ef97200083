"""From what a person typed to a model: a name of the catalogue, with a tag or without, a spec file, ``timm:NAME``, a folder, the hub.

Imports torch only where a model is built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgewise.errors import InputError, shown
from edgewise.models import catalogue
from edgewise.models.facts.entry import Entry
from edgewise.models.hub import HUB_PREFIX
from edgewise.models.pretrained import Tag, find_tag, first_choice, published_source
from edgewise.models.spec_file import is_spec_file, read_spec_file
from edgewise.models.timm_adapter import TIMM_PREFIX, create_timm_model, native_size
from edgewise.models.weight_source import LOCAL_PREFIX
from edgewise.spec.scale import fit_resolution

if TYPE_CHECKING:
    from torch import nn

    from edgewise.records.artifact import Preprocessing
    from edgewise.spec.model import ModelSpec

FOLDER_PREFIXES: Final = (HUB_PREFIX, LOCAL_PREFIX)
"""What says itself which model it is."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model that a person named."""

    given: str
    """As it was typed."""
    name: str
    """Fit to name files."""
    img_size: int
    """Side in pixels that the model was made for, or the weights of its tag."""
    spec: ModelSpec | None
    """Its rows; None for a model of timm's."""
    entry: Entry | None = None
    """What is known of it; None for a model from outside the catalogue."""
    tag: Tag | None = None
    """The weights that were named; None where none were."""
    preprocessing: Preprocessing | None = None
    """How images were prepared for the weights that were named; None where none were."""

    @property
    def names_weights(self) -> bool:
        """Return whether weights were named with the model, as in ``NAME.TAG``."""
        if self.spec is None:
            return "." in self.name
        return self.tag is not None or self.given.startswith(FOLDER_PREFIXES)

    def rows(self, why: str) -> ModelSpec:
        """Return the rows, which ``why`` needs, as in ``"training"``.

        Raises:
            InputError: there are none.
        """
        if self.spec is None:
            raise InputError(
                f"{shown(self.given)} is timm's and has no rows, which {why} needs; "
                f"accepted: a name of edgewise list or FILE.yaml"
            )
        return self.spec

    def weights_source(self) -> str:
        """Return what `models.weights.load_weights` takes to get the weights that were named, or the model's first choice.

        Raises:
            WeightsError: there are none, or only people can get them.
        """
        if self.given.startswith(FOLDER_PREFIXES):
            return self.given
        return published_source(self.tag or first_choice(self.name), self.given)

    def build(self, img_size: int | None = None) -> nn.Module:
        """Build the model with fresh weights for square images of ``img_size`` pixels; its own size by default."""
        side = img_size or self.img_size
        if self.spec is None:
            return create_timm_model(self.given, img_size=side)
        from edgewise.models.build import build

        return build(fit_resolution(self.spec, side))


def is_model_name(text: str) -> bool:
    """Return whether ``text`` is meant as a model rather than as a path to something that was trained or exported."""
    known = catalogue.is_model(text.partition(".")[0])
    return known or is_spec_file(text) or text.startswith((TIMM_PREFIX, *FOLDER_PREFIXES))


def resolve(given: str) -> ModelSource:
    """Find what ``given`` names.

    Raises:
        UnknownNameError: no such model or tag; near ones are suggested.
        SpecError: a spec file cannot be used.
        MissingExtraError: timm or huggingface-hub is needed and not installed.
    """
    if given.startswith(TIMM_PREFIX):
        return ModelSource(given=given, name=given.removeprefix(TIMM_PREFIX), img_size=native_size(given), spec=None)
    if is_spec_file(given):
        return _of_rows(given, read_spec_file(given))
    if given.startswith(FOLDER_PREFIXES):
        from edgewise.models.factory import named_model

        named = named_model(given)
        spec = named.shaped()
        return replace(_of_rows(given, spec), preprocessing=named.prepared(spec))
    name, dot, tag = given.partition(".")
    if not catalogue.is_model(name) and Path(given).suffix:
        raise InputError(
            f"{shown(given)} is no model; accepted: a name of edgewise list, NAME.TAG, FILE.yaml, timm:NAME"
        )
    entry = catalogue.find(name)
    weights = find_tag(name, tag) if dot else None
    size = weights.img_size if weights else entry.img_size
    return ModelSource(
        given=given,
        name=name,
        img_size=size,
        spec=entry.spec(),
        entry=entry,
        tag=weights,
        preprocessing=weights.preprocessing() if weights else None,
    )


def _of_rows(given: str, spec: ModelSpec) -> ModelSource:
    return ModelSource(given=given, name=spec.name, img_size=spec.img_size, spec=spec)
