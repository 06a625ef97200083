"""A whole network as data: stem, stages of rows, head."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, model_validator

from edgewise.errors import SpecError, shown, suggestion
from edgewise.spec.rows import Activation, Channels, ConvSpec, Row, RowSpec

FORMAT_VERSION: Final = 1
"""Version of the JSON form; a newer one is refused."""


class NormSpec(Row):
    """Batch normalisation's settings. `momentum` is PyTorch's (TF's is 1 - momentum)."""

    eps: Annotated[float, Field(gt=0, le=0.1)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1


class HeadSpec(Row):
    """Global average pool, 1x1 convolution to `hidden_chs` with norm and activation, dropout, linear classifier."""

    hidden_chs: Channels = 1280


class ModelSpec(Row):
    """A network that `models.build` turns into a module.

    `stages` are timm's stages (`blocks.<stage>.<row>` in state dicts), the last one holding the 1x1 convolution before pooling.
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: str
    stem: ConvSpec
    stages: tuple[tuple[RowSpec, ...], ...]
    head: HeadSpec = HeadSpec()
    act: Activation = "relu"
    norm: NormSpec = NormSpec()
    layer_scale_init: Annotated[float, Field(gt=0, le=1)] | None = None
    """Initial value of the per-channel scale on every UIB and MQA block; None = no layer scale."""
    in_chans: Annotated[int, Field(ge=1, le=1024)] = 3
    num_classes: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    """0 = no classifier: the model returns pooled features."""
    img_size: Annotated[int, Field(ge=1, le=8192)] = 224
    """The side in pixels that the model was designed for."""

    @model_validator(mode="after")
    def _has_rows(self) -> ModelSpec:
        for index, stage in enumerate(self.stages):
            if not stage:
                raise SpecError(f"stages.{index} of {self.name} is empty; a stage needs at least one row")
        if not self.stages:
            raise SpecError(f"{self.name} has no stages; at least one is needed")
        return self


def dump_spec(spec: ModelSpec) -> str:
    """Return the JSON form of ``spec``, a type tag on every row and the format version with it."""
    return spec.model_dump_json(indent=1)


def parse_spec(text: str | bytes, where: str = "model spec") -> ModelSpec:
    """Read a spec from its JSON form.

    Args:
        text: what `dump_spec` wrote.
        where: named in errors, as in a file's path.

    Raises:
        SpecError: the text is not JSON, a field is unknown, missing or out of range; the message gives the path in the spec.
    """
    try:
        return ModelSpec.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(_problem(dict(detail)) for detail in error.errors()[:5])
        raise SpecError(f"{where}: {problems}") from error


def _problem(detail: dict[str, object]) -> str:
    loc = detail["loc"]
    assert isinstance(loc, tuple)
    path = ".".join(str(part) for part in loc if part not in ("conv", "fused_ib", "uib", "mqa")) or "the file"
    if detail["type"] == "extra_forbidden":
        return f"unknown field {shown(path)}{suggestion(str(loc[-1]), sorted(_all_fields()))}"
    return f"{path}: {detail['msg']}, got {shown(detail['input'], 40)}"


def _all_fields() -> set[str]:
    rows: tuple[type[Row], ...] = (ModelSpec, HeadSpec, NormSpec, *Row.__subclasses__())
    return {name for row in rows for name in row.model_fields}
