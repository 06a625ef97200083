"""Reading timm's ``pretrained_cfg``: what a person or a repository says of weights, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgewise.errors import ConfigError, shown, suggestion
from edgewise.models.pretrained import Tag
from edgewise.records.artifact import Interpolation
from edgewise.spec.faults import describe

Size = tuple[
    Annotated[int, Field(ge=1, le=1024)], Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]
]
Share = Annotated[float, Field(gt=0, le=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PretrainedCfg(BaseModel):
    """The fields of timm's ``pretrained_cfg`` that mean something here; None where nothing was said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tag: str | None = None
    hf_hub_id: str | None = None
    file: str | None = None
    url: str | None = None
    license: str | None = None
    num_classes: Annotated[int, Field(ge=0)] | None = None
    input_size: Size | None = None
    """(C, H, W); square."""
    test_input_size: Size | None = None
    crop_pct: Share | None = None
    test_crop_pct: Share | None = None
    crop_mode: Literal["center"] | None = None
    interpolation: Interpolation | None = None
    mean: tuple[Finite, ...] | None = None
    std: tuple[Positive, ...] | None = None
    label_names: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for name in ("input_size", "test_input_size"):
            size = getattr(self, name)
            if size is not None and size[1] != size[2]:
                raise ValueError(f"{name} is {size}; height and width must be equal")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together; give both")
        if self.mean is not None and self.std is not None and len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} values, std {len(self.std)}; must be equal")
        return self


def with_cfg(tag: Tag, cfg: Mapping[str, Any], where: str) -> Tag:
    """Return ``tag`` with what ``cfg`` says of the weights; fields that mean nothing here are left aside.

    Args:
        tag: what is known already.
        cfg: timm's fields, by name.
        where: named in errors, as in a file's path.

    Raises:
        ConfigError: a field has a value that cannot be used.
    """
    try:
        given = PretrainedCfg.model_validate(dict(cfg))
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe(error)}") from error
    changes = given.model_dump(exclude_none=True, exclude={"input_size", "test_input_size", "crop_mode"})
    if given.input_size is not None:
        changes["img_size"] = given.input_size[1]
    if given.test_input_size is not None:
        changes["test_img_size"] = given.test_input_size[1]
    return replace(tag, **changes)


def with_overlay(tag: Tag, overlay: Mapping[str, Any]) -> Tag:
    """Return ``tag`` with a person's ``pretrained_cfg_overlay``.

    Raises:
        ConfigError: a field is unknown or has a value that cannot be used.
    """
    for name in overlay:
        if name not in PretrainedCfg.model_fields:
            hint = suggestion(str(name), PretrainedCfg.model_fields) or ";"
            accepted = ", ".join(PretrainedCfg.model_fields)
            raise ConfigError(f"pretrained_cfg_overlay: unknown field {shown(name)}{hint} accepted: {accepted}")
    changes = dict(overlay)
    if changes.get("file") is not None:
        changes["file"] = str(changes["file"])
    return with_cfg(tag, changes, "pretrained_cfg_overlay")
