"""Published weights: which there are for each model, and what was said of them. Imports nothing heavy."""

from __future__ import annotations

import csv
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, cast

from edgewise.errors import UnknownNameError, WeightsError, shown, suggestion
from edgewise.models.hub import HUB_PREFIX

if TYPE_CHECKING:
    from edgewise.records.artifact import Preprocessing

BY_HAND = "checkpoint_path=FILE in Python, --weights FILE in training"
"""How a person names a file of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One set of weights of a model: where it lies, how its images were prepared, and what it scored."""

    model: str
    tag: str
    """Behind the dot in ``NAME.TAG``; empty for weights that nobody named."""
    hf_hub_id: str = ""
    """Repository on the hub, ``owner/name`` or ``owner/name@revision``; empty where it lies elsewhere."""
    file: str = ""
    """Name of the file where the authors published it, or the path of one on this machine."""
    url: str = ""
    """Where people get the file by hand."""
    license: str = ""
    """As timm or the authors state it; empty where nobody said."""
    num_classes: int = 1000
    img_size: int = 224
    """Side of the images that it was trained on, in pixels."""
    crop_pct: float = 0.875
    test_img_size: int | None = None
    """Side at which it scores best, where that is another one."""
    test_crop_pct: float | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    top1: float | None = None
    """ImageNet-1k top-1 at `img_size`, a fraction; None where nobody published one."""
    top5: float | None = None
    test_top1: float | None = None
    """The same at `test_img_size`."""
    test_top5: float | None = None
    source: str = ""
    """Of the accuracies."""
    label_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return ``MODEL.TAG``."""
        return f"{self.model}.{self.tag}" if self.tag else self.model

    @property
    def has_weights(self) -> bool:
        """Return whether anybody published weights: a tag may be known for its preprocessing alone."""
        return bool(self.hf_hub_id or self.file or self.url)

    def preprocessing(self) -> Preprocessing:
        """Return how images are prepared for these weights, at the size of their training."""
        from edgewise.records.artifact import Preprocessing

        return Preprocessing(
            img_size=self.img_size,
            crop_pct=self.crop_pct,
            interpolation=self.interpolation,
            mean=self.mean,
            std=self.std,
        )


def list_pretrained(pattern: str = "*") -> list[str]:
    """Return ``NAME.TAG`` of all published weights that match a shell pattern, each model's first choice first."""
    found = (tag.name for tags in _table().values() for tag in tags if tag.has_weights)
    return fnmatch.filter(found, pattern)


def tags_of(model: str) -> tuple[Tag, ...]:
    """Return what is known of a model's weights, the first choice first; nothing for a model without."""
    return _table().get(model, ())


def first_choice(model: str) -> Tag | None:
    """Return the weights of a model that are taken where nobody says which; None where none are known."""
    return next(iter(tags_of(model)), None)


def has_pretrained(model: str) -> bool:
    """Return whether anybody published weights for a model."""
    return any(tag.has_weights for tag in tags_of(model))


def find_tag(model: str, tag: str) -> Tag:
    """Return the weights ``tag`` of ``model``.

    Raises:
        UnknownNameError: there are none of that name; those that there are are listed.
    """
    known = {each.tag: each for each in tags_of(model)}
    if tag in known:
        return known[tag]
    if not known:
        raise UnknownNameError(f"unknown weights {shown(f'{model}.{tag}')}: none were published for {shown(model)}")
    hint = suggestion(tag, known) or ";"
    raise UnknownNameError(f"unknown weights {shown(f'{model}.{tag}')}{hint} accepted: {', '.join(known)}")


def published_source(tag: Tag | None, model: str) -> str:
    """Return what `load_weights` takes to get published weights.

    Args:
        tag: the weights; None where none are known.
        model: what the person wrote, for messages.

    Raises:
        WeightsError: there are none, or only people can get them.
    """
    if tag is not None and tag.hf_hub_id:
        return f"{HUB_PREFIX}{tag.hf_hub_id}"
    if tag is None or not tag.has_weights:
        raise WeightsError(f"no weights were published for {shown(model)}; give a file ({BY_HAND}), or train it")
    file, licence = tag.file or "the file", tag.license or "none stated"
    raise WeightsError(
        f"the weights {shown(tag.name)} are not on the hub: get {file} from {tag.url} (licence: {licence}) and give it: {BY_HAND}"
    )


@cache
def _table() -> Mapping[str, tuple[Tag, ...]]:
    tags: dict[str, list[Tag]] = {}
    text = resources.files("edgewise.models.facts").joinpath("tags.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        tags.setdefault(row["model"], []).append(_tag(row))
    return MappingProxyType({model: tuple(each) for model, each in tags.items()})


def _tag(row: Mapping[str, str]) -> Tag:
    return Tag(
        model=row["model"],
        tag=row["tag"],
        hf_hub_id=row["hf_hub_id"],
        file=row["file"],
        url=row["url"],
        license=row["license"],
        num_classes=int(row["num_classes"]),
        img_size=int(row["img_size"]),
        crop_pct=float(row["crop_pct"]),
        test_img_size=int(row["test_img_size"]) if row["test_img_size"] else None,
        test_crop_pct=_number(row["test_crop_pct"]),
        interpolation=cast(Literal["bilinear", "bicubic"], row["interpolation"]),
        mean=_numbers(row["mean"]),
        std=_numbers(row["std"]),
        top1=_number(row["top1"]),
        top5=_number(row["top5"]),
        test_top1=_number(row["test_top1"]),
        test_top5=_number(row["test_top5"]),
        source=row["source"],
    )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split())
