"""timm's models under ``timm:NAME``, for comparison; timm is imported only where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, get_args

from edgewise.errors import ConfigError, MissingExtraError, UnknownNameError, WeightsError, shown, unknown_name
from edgewise.records.artifact import Interpolation, Preprocessing

if TYPE_CHECKING:
    from torch import nn

TIMM_PREFIX: Final = "timm:"


def create_timm_model(
    name: str,
    *,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: int | None = None,
    drop_rate: float = 0.0,
    drop_path_rate: float = 0.0,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> nn.Module:
    """Build a model of timm's, with what Edgewise asks of a module: `name`, `in_chans` and `preprocessing`.

    Args:
        name: as timm spells it, with or without a tag, with or without the prefix ``timm:``.
        pretrained: load published weights (of the tag, else of timm's default one); needs the network or timm's cache.
        num_classes: of the classifier; the model's own by default.
        in_chans: channels of the input; 3 by default.
        img_size: side of the square input. Models that are built for one size are built for this one, others take any.
        drop_rate: dropout before the classifier.
        drop_path_rate: stochastic depth, where the model has it.
        features_only: return a pyramid backbone, whose forward gives a list of maps, instead of a classifier.
        out_indices: which maps; only with ``features_only``.

    Raises:
        MissingExtraError: timm is not installed.
        UnknownNameError: timm has no such model or tag.
        ConfigError: the model does not take an argument.
        WeightsError: the published weights cannot be had.
    """
    if out_indices is not None and not features_only:
        raise ConfigError("out_indices needs features_only=True")
    timm = _timm(name)
    name = name.removeprefix(TIMM_PREFIX)
    cfg = _pretrained_cfg(timm, name)
    options = {"drop_rate": drop_rate or None, "drop_path_rate": drop_path_rate or None, "out_indices": out_indices}
    given = {"num_classes": num_classes, "in_chans": in_chans, "features_only": features_only or None} | options
    model: Any = _created(timm, name, {"pretrained": pretrained} | given | _size_argument(cfg, img_size))
    model.name = name
    chans = in_chans or int(cfg["input_size"][0])
    model.in_chans = chans
    recipe = preprocessing_of(cfg, img_size)
    if recipe is not None:
        model.preprocessing = recipe.with_chans(chans)
    built: nn.Module = model
    return built


def native_size(name: str) -> int:
    """Return the side in pixels of the input that a timm model was made for; raises as `create_timm_model` does."""
    return int(_pretrained_cfg(_timm(name), name.removeprefix(TIMM_PREFIX))["input_size"][-1])


def preprocessing_of(cfg: Mapping[str, Any], img_size: int | None = None) -> Preprocessing | None:
    """Return what timm's ``pretrained_cfg`` says of preparing images; None where it is something that Edgewise does not do."""
    if cfg.get("crop_mode", "center") != "center" or cfg["interpolation"] not in get_args(Interpolation):
        return None
    return Preprocessing(
        img_size=img_size or int(cfg["input_size"][-1]),
        crop_pct=cfg["crop_pct"],
        interpolation=cfg["interpolation"],
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
    )


def _timm(name: str) -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError(f"{shown(name)} needs timm: install edgewise[timm]") from error
    return timm


def _pretrained_cfg(timm: Any, name: str) -> dict[str, Any]:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise unknown_name("timm model", architecture, timm.list_models())
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        if not tags:
            raise UnknownNameError(f"unknown tag {shown(tag)}; timm has no weights of {architecture}")
        raise unknown_name(f"tag of timm's {architecture}", tag, tags)
    cfg: dict[str, Any] = timm.get_pretrained_cfg(name).to_dict()
    return cfg


def _size_argument(cfg: Mapping[str, Any], img_size: int | None) -> dict[str, int]:
    """Return the size to build a model for; empty where it is the model's own, or where any will do."""
    if img_size is None or not cfg.get("fixed_input_size") or img_size == int(cfg["input_size"][-1]):
        return {}
    return {"img_size": img_size}


def _created(timm: Any, name: str, arguments: Mapping[str, Any]) -> Any:
    try:
        return timm.create_model(name, **arguments)
    except (RuntimeError, ValueError, TypeError, AssertionError, OSError) as error:
        kind = WeightsError if arguments["pretrained"] else ConfigError
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise kind(f"timm's {name} cannot be built as asked for: {shown(reason, 200)}") from error
