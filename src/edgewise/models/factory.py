"""`create_model`: from a name to a module, with or without published weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import nn

from edgewise.errors import ConfigError, UnknownNameError, shown
from edgewise.models import catalogue
from edgewise.models.build import build
from edgewise.models.described import Described
from edgewise.models.hub import HUB_PREFIX, hub_file
from edgewise.models.model_folder import CONFIG, FolderModel, preprocessing_of, read_config, read_model_folder
from edgewise.models.pretrained import Tag, find_tag, first_choice, published_source
from edgewise.models.pretrained_cfg import with_overlay
from edgewise.models.spec_file import is_spec_file, read_spec_file
from edgewise.models.timm_adapter import TIMM_PREFIX, create_timm_model
from edgewise.models.weight_source import LOCAL_PREFIX, hub_id_of
from edgewise.models.weights import load_weights
from edgewise.records.artifact import Preprocessing
from edgewise.spec.faults import describe
from edgewise.spec.model import ModelSpec


def create_model(
    name: str,
    pretrained: bool = False,
    *,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: int | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
    checkpoint_path: str | Path | None = None,
    pretrained_cfg_overlay: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build a model by name, with fresh weights from torch's global generator, or with those of a file.

    What was loaded, and how images are prepared for it, the model says itself: `preprocessing`, `pretrained_cfg`,
    `weights_sha256`, `weights_source` and `weights_notes`.

    Args:
        name: ``NAME`` as `list_models` shows it; ``NAME.TAG`` as `list_pretrained` does, for the weights that ``pretrained``
            takes and for their preprocessing without; ``hf-hub:owner/name[@revision]`` or ``local-dir:PATH``, which say
            themselves which model they are; a spec file (``my.yaml``); ``timm:NAME`` for a model of timm's.
        pretrained: load the published weights: those of the tag, else the model's first choice.
        num_classes: of the classifier; 0 = none, the model returns (N, head_hidden_size). Weights for another number are loaded
            without their classifier.
        in_chans: channels of the input; the first convolution of weights for another number is adapted, mean and std with it.
        img_size: the side that its pretrained_cfg states; layers do not depend on it.
        drop_rate: dropout before the classifier, 0 <= rate < 1.
        drop_path_rate: stochastic depth, rising linearly from 0 at the first block towards this rate, 0 <= rate < 1.
        features_only: return a pyramid backbone, whose forward gives a list of maps, instead of a classifier.
        out_indices: which maps, finest first; all by default. Only with ``features_only``.
        checkpoint_path: load this file (or whatever `load_weights` takes) instead of the published one.
        pretrained_cfg_overlay: what to take otherwise than published, under timm's names, as in ``dict(file="net.pth")``.

    Raises:
        UnknownNameError: no such model, or none of its weights is called so.
        ConfigError: an argument is out of range, or a ``config.json`` cannot be used.
        SpecError: a spec file describes no network.
        WeightsError: there are no such weights, they cannot be had, or they do not fit; nothing is left half loaded.
        MissingExtraError: huggingface-hub or timm is needed and not installed.
    """
    shape = {"num_classes": num_classes, "in_chans": in_chans, "img_size": img_size}
    parts: dict[str, Any] = {
        "drop_rate": drop_rate,
        "drop_path_rate": drop_path_rate,
        "features_only": features_only,
        "out_indices": out_indices,
    }
    if name.startswith(TIMM_PREFIX):
        return _of_timm(name, pretrained, checkpoint_path, pretrained_cfg_overlay, shape | parts)
    overlay = pretrained_cfg_overlay or {}
    named = named_model(name, pretrained=pretrained)
    if overlay:
        named = named.overlaid(overlay)
    source = checkpoint_path or ((overlay.get("file") or named.weights_source(name)) if pretrained else None)
    spec = with_fields(named.shaped(), **shape)
    model = build(spec, **parts)
    assert isinstance(model, Described)
    model.tag = named.tag if named.is_chosen or checkpoint_path is None else None
    model.preprocessing = named.prepared(spec)
    if source is not None:
        # without a word on classes, other ones in the file are a mistake to tell of, not a head to leave out
        report = load_weights(model, source, new_head=False if num_classes is None else None)
        own = preprocessing_of(report.metadata, shown(source))
        if own is not None and not overlay:
            model.spec = with_fields(spec, img_size=img_size or own.img_size)
            model.preprocessing = replace(named, preprocessing=own).prepared(model.spec)
    return model


@dataclass(frozen=True, kw_only=True)
class NamedModel:
    """What a name stands for."""

    spec: ModelSpec
    tag: Tag | None = None
    is_chosen: bool = False
    """Whether `tag` was asked for; else it is the model's first choice, and lends its preprocessing alone."""
    preprocessing: Preprocessing | None = None
    """Where there is no tag to say it."""
    weights: str | None = None
    """What `load_weights` takes; None where the tag says it."""

    def overlaid(self, overlay: Mapping[str, Any]) -> NamedModel:
        """Return the same with a person's ``pretrained_cfg_overlay``, which counts as a tag that was asked for."""
        recipe, spec = self.prepared(self.spec), self.spec
        known = self.tag or Tag(
            model=spec.name,
            tag="",
            num_classes=spec.num_classes,
            img_size=recipe.img_size,
            crop_pct=recipe.crop_pct,
            interpolation=recipe.interpolation,
            mean=recipe.mean,
            std=recipe.std,
        )
        return replace(self, tag=with_overlay(known, overlay), is_chosen=True, preprocessing=None)

    def weights_source(self, name: str) -> str:
        """Return what `load_weights` takes to get the weights of what a person called ``name``.

        Raises:
            WeightsError: there are none, or only people can get them.
        """
        return self.weights or published_source(self.tag, name)

    def shaped(self) -> ModelSpec:
        """Return the rows with the classes and the input size of the weights."""
        if self.tag is None or not self.is_chosen:
            return self.spec
        return with_fields(self.spec, num_classes=self.tag.num_classes, img_size=self.tag.img_size)

    def prepared(self, spec: ModelSpec) -> Preprocessing:
        """Return how images are prepared for the network that is built of ``spec`` in the end."""
        recipe = self.preprocessing or (self.tag.preprocessing() if self.tag else None)
        if recipe is None:
            return Preprocessing.for_chans(spec.in_chans, spec.img_size)
        return recipe.model_copy(update={"img_size": spec.img_size}).with_chans(spec.in_chans)


def named_model(name: str, *, pretrained: bool = False) -> NamedModel:
    """Return what ``name`` stands for, as in `create_model`; not for ``timm:`` names.

    Raises:
        UnknownNameError, ConfigError, SpecError, WeightsError, MissingExtraError: as `create_model` does.
    """
    if name.startswith(HUB_PREFIX):
        hub_id = hub_id_of(name) or ""
        hint = "create_model(NAME, pretrained=True, pretrained_cfg_overlay=dict(hf_hub_id=…)) says which model it is"
        config = hub_file(hub_id, (CONFIG,), name, hint=hint)
        return _of_folder(read_config(config, f"{CONFIG} of {shown(name)}"), name, hub_id=hub_id)
    if name.startswith(LOCAL_PREFIX):
        return _of_folder(read_model_folder(Path(name.removeprefix(LOCAL_PREFIX))), name)
    if is_spec_file(name):
        return NamedModel(spec=read_spec_file(name))
    model, dot, tag = name.partition(".")
    spec = catalogue.find(model).spec()
    if dot:
        return NamedModel(spec=spec, tag=find_tag(model, tag), is_chosen=True)
    return NamedModel(spec=spec, tag=first_choice(model), is_chosen=pretrained)


def _of_folder(folder: FolderModel, name: str, hub_id: str = "") -> NamedModel:
    """Return what the repository ``hub_id``, or else a folder, says of itself."""
    weights = None if hub_id else name
    if folder.spec is not None:
        return NamedModel(spec=folder.spec, preprocessing=folder.preprocessing, weights=weights)
    assert folder.tag is not None
    try:
        spec = catalogue.find(folder.tag.model).spec()
    except UnknownNameError as error:
        raise UnknownNameError(
            f"{shown(name)} holds an {error}; a model of timm's comes as {TIMM_PREFIX}NAME"
        ) from None
    tag = replace(folder.tag, hf_hub_id=hub_id or folder.tag.hf_hub_id)
    return NamedModel(spec=with_fields(spec, **folder.arguments), tag=tag, is_chosen=True, weights=weights)


def _of_timm(
    name: str,
    pretrained: bool,
    checkpoint_path: str | Path | None,
    overlay: Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
) -> nn.Module:
    if overlay:
        raise ConfigError(f"pretrained_cfg_overlay is not for {TIMM_PREFIX} models; give checkpoint_path=FILE")
    model = create_timm_model(name, pretrained=pretrained and checkpoint_path is None, **arguments)
    if checkpoint_path is not None:
        load_weights(model, checkpoint_path, new_head=False if arguments["num_classes"] is None else None)
    return model


def with_fields(spec: ModelSpec, **fields: object) -> ModelSpec:
    """Return ``spec`` with those of ``fields`` that are not None.

    Raises:
        ConfigError: a value is out of range.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if not given:
        return spec
    try:
        return ModelSpec.model_validate(dict(spec) | given)
    except ValidationError as error:
        raise ConfigError(describe(error)) from error
