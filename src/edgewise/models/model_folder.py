"""What a repository or folder says of its own model: timm's ``config.json``, or what a run wrote into its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgewise.errors import ConfigError, WeightsError, shown
from edgewise.models.pretrained import Tag
from edgewise.models.pretrained_cfg import with_cfg
from edgewise.models.regular_file import read_regular
from edgewise.models.weight_source import LOCAL_PREFIX, RUN_WEIGHTS, weights_in
from edgewise.models.weights import read_metadata
from edgewise.records.artifact import Preprocessing
from edgewise.spec.model import ModelSpec
from edgewise.spec.plain_yaml import load_json
from edgewise.spec.text import parse_spec

CONFIG = "config.json"
MODEL_ARGS = ("num_classes", "in_chans", "img_size")
"""Of timm's ``model_args``, what changes a network here."""


@dataclass(frozen=True, kw_only=True)
class FolderModel:
    """One of the two: an architecture by name with what is known of the weights, or rows with their preprocessing."""

    tag: Tag | None = None
    """Its `model` is the architecture."""
    arguments: Mapping[str, int] = field(default_factory=dict)
    """Of `create_model`, as the weights need them."""
    spec: ModelSpec | None = None
    preprocessing: Preprocessing | None = None


def read_model_folder(folder: Path) -> FolderModel:
    """Read what a folder says of its model.

    Raises:
        WeightsError: it is no folder, or says nothing.
        ConfigError: its ``config.json`` cannot be used.
    """
    if not folder.is_dir():
        raise WeightsError(f"{shown(f'{LOCAL_PREFIX}{folder}')}: there is no such folder")
    if (folder / CONFIG).exists() and not (folder / RUN_WEIGHTS).exists():
        return read_config(folder / CONFIG, shown(folder / CONFIG))
    path = weights_in(folder)
    metadata = read_metadata(path)
    if "edgewise.spec" not in metadata:
        raise WeightsError(f"{shown(folder)} has no {CONFIG}, and its weights do not say of which model they are")
    spec = parse_spec(metadata["edgewise.spec"], shown(path))
    return FolderModel(spec=spec, preprocessing=preprocessing_of(metadata, shown(path)))


def read_config(path: Path, where: str) -> FolderModel:
    """Read timm's ``config.json``, in today's form or the old flat one.

    Args:
        path: of the file.
        where: named in errors.

    Raises:
        ConfigError: it is no JSON, names no architecture, or says what cannot be used here.
    """
    config = _mapping(path, where)
    architecture = config.get("architecture")
    if not isinstance(architecture, str):
        raise ConfigError(f"{where} names no architecture; accepted: timm's {CONFIG} of an image classifier")
    cfg = dict(config.get("pretrained_cfg", config))
    # the head is what the outer fields say; timm copies them in the same way
    cfg |= {name: config[name] for name in ("num_classes", "label_names") if config.get(name) is not None}
    arguments = config.get("model_args") or {}
    foreign = sorted(str(name) for name in arguments if name not in MODEL_ARGS)
    if foreign:
        listed = ", ".join(f"model_args.{name}" for name in foreign)
        raise ConfigError(f"{where}: {listed} cannot be used here; accepted: {', '.join(MODEL_ARGS)}")
    bare = Tag(model=architecture, tag="")
    return FolderModel(tag=with_cfg(bare, cfg, where), arguments=arguments)


def _mapping(path: Path, where: str) -> dict[str, Any]:
    try:
        config = load_json(read_regular(path))
    except OSError as error:
        raise ConfigError(f"{where} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{where} is {error}") from error
    fits = isinstance(config, dict) and all(
        isinstance(config.get(name, {}), dict | None) for name in ("pretrained_cfg", "model_args")
    )
    if not fits:
        raise ConfigError(f"{where} is not laid out as timm's {CONFIG}")
    return config  # type: ignore[no-any-return]


def preprocessing_of(metadata: Mapping[str, str], where: str) -> Preprocessing | None:
    """Return the preprocessing that a run wrote beside its weights; None where there is none.

    Raises:
        WeightsError: it cannot be read.
    """
    text = metadata.get("edgewise.preprocessing")
    if text is None:
        return None
    try:
        return Preprocessing.model_validate_json(text)
    except ValidationError as error:
        raise WeightsError(f"{where} carries a preprocessing that cannot be read") from error
