"""From what a person typed to a run's resolved settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewise.errors import ConfigError, shown
from edgewise.models.resolve import resolve
from edgewise.pipeline.network import network_spec
from edgewise.pipeline.start import find_start
from edgewise.records.environment import usable_cores
from edgewise.train.config import TrainConfig, make_config
from edgewise.train.recipes.from_scratch import fine_tune, from_scratch
from edgewise.train.recipes.table import find_recipe

MIN_IMG_SIZE = 8
AUGMENT_FIELDS = frozenset({"mixup", "cutmix", "hflip", "vflip", "erasing", "color_jitter"})
"""Settings of the augmentation that have an option of their own on the command line."""


def check_img_size(img_size: int) -> None:
    """Refuse a side that no model takes.

    Raises:
        ConfigError: it is below 8 or above 4096.
    """
    if not MIN_IMG_SIZE <= img_size <= 4096:
        raise ConfigError(f"img_size is {img_size}; must be within {MIN_IMG_SIZE} and 4096")


def resolve_config(
    model: str, *, img_size: int | None, num_images: int, recipe: str | None, overrides: Mapping[str, Any]
) -> TrainConfig:
    """Return the settings of a run: a recipe's, with what the person gave on top.

    Args:
        model: a name of the catalogue, or a spec file.
        img_size: side in pixels; the model's own by default.
        num_images: of the training set; chooses the strength of augmentation.
        recipe: a named recipe, or None for the one made for a person's own pictures.
        overrides: settings by name; None means not given. Those of `AUGMENT_FIELDS` go to the augmentation. ``pretrained`` asks
            for the published weights of ``model``, as ``NAME.TAG`` does by itself.

    Raises:
        UnknownNameError: no such model or recipe.
        SpecError: the spec file cannot be used, or the model cannot have that width.
        ConfigError: a setting is unknown or out of range.
        WeightsError: the weights to start from cannot be had.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    start = find_start(model, weights=given.pop("weights", None), pretrained=given.pop("pretrained", False))
    if img_size is not None:
        check_img_size(img_size)
    side = img_size or start.img_size
    own = fine_tune if start.weights else from_scratch
    base = find_recipe(recipe) if recipe else own(model, side, num_images)
    fields = base.model_dump()
    fields |= {"model": model, "weights": start.weights}
    if start.preprocessing is not None:  # the weights know images prepared in this way alone
        fields["preprocessing"] = start.preprocessing.model_dump()
    if img_size is not None:
        fields["preprocessing"] |= {"img_size": img_size}
    config = completed_config(fields, given)
    network_spec(  # refuses a width, or channels, that the model cannot have
        model,
        img_size=config.preprocessing.img_size,
        num_classes=2,
        width_mult=config.width_mult,
        in_chans=len(config.preprocessing.mean),
    )
    return config


def completed_config(fields: Mapping[str, Any], given: Mapping[str, Any]) -> TrainConfig:
    """Return a recipe's ``fields`` on this machine, with what the person has ``given`` on top.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    fields, given = dict(fields), dict(given)
    fields["threads"] = usable_cores()
    fields["device"] = check_device(given.pop("device", None))
    fields["workers"] = default_workers(fields["device"], usable_cores())
    fields["augment"] = fields["augment"] | {key: given.pop(key) for key in AUGMENT_FIELDS & given.keys()}
    if given.get("time_budget_s") is not None and "epochs" not in given:
        fields["epochs"] = 100_000  # the clock decides
    return make_config(**fields | given)


def default_workers(device: str, num_cores: int) -> int:
    """Return how many processes load images where nothing was said; the count changes no batch.

    On an accelerator the processor has nothing else to do. On a CPU the network needs the cores itself: up to 3 of them, a
    worker only takes turns with it (on 2 cores, 0, 1 and 2 workers trained equally fast here).
    """
    return num_cores // 4 if device == "cpu" else min(8, max(1, num_cores - 1))


def check_device(device: str | None) -> str:
    """Return the device to train on: the one given if it is there, else the best that this machine has.

    Raises:
        ConfigError: torch cannot use ``device`` here.
    """
    import torch

    offered = ["cpu"]
    if torch.cuda.is_available():
        offered = [f"cuda:{index}" for index in range(torch.cuda.device_count())] + offered
    if torch.backends.mps.is_available():
        offered = ["mps", *offered]
    if device is None:
        return offered[0]
    wanted = f"cuda:{device}" if device.isdigit() else "cuda:0" if device == "cuda" else device
    if wanted not in offered:
        raise ConfigError(f"device is {shown(device)}; this machine offers: {', '.join(offered)}")
    return wanted


def parse_duration(text: str) -> float:
    """Return the seconds of ``90s``, ``20m``, ``1.5h`` or a plain number of seconds.

    Raises:
        ConfigError: the text is no duration above 0.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text and text[-1] in units else (text, 1.0)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = float("nan")
    if not 0 < seconds < 1e9:
        raise ConfigError(f"time budget {shown(text)} is no duration; accepted: 90s, 20m, 1.5h, above 0")
    return seconds


def changed_config(stored: TrainConfig, changed: Mapping[str, Any]) -> TrainConfig:
    """Return ``stored`` with the settings that a person gave for a resumed run.

    Raises:
        ConfigError: a setting is unknown or out of range.
    """
    given = {key: value for key, value in changed.items() if value is not None}
    fields = stored.model_dump()
    if given.pop("pretrained", False):
        given["weights"] = resolve(given.get("model", stored.model)).weights_source()
    if "img_size" in given:
        fields["preprocessing"] |= {"img_size": given.pop("img_size")}
    fields["augment"] |= {key: given.pop(key) for key in AUGMENT_FIELDS & given.keys()}
    return make_config(**fields | given)
