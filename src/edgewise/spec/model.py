"""A whole network as data: stem, stages of rows, head."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from edgewise.errors import SpecError
from edgewise.spec.checks import check_rows
from edgewise.spec.former_rows import TokensSpec
from edgewise.spec.heads import ConvHeadSpec, HeadSpec
from edgewise.spec.row import Activation, Row
from edgewise.spec.rows import RowSpec, StemSpec

FORMAT_VERSION: Final = 1
"""Version of the JSON form; a newer one is refused."""

MAX_STAGES = 64
MAX_ROWS_IN_A_STAGE = 512
"""Far beyond any network for a phone; a spec file with a million rows is refused before it is built."""

Stage = Annotated[tuple[RowSpec, ...], Field(max_length=MAX_ROWS_IN_A_STAGE)]


class NormSpec(Row):
    """Batch normalisation's settings. `momentum` is PyTorch's (TF's is 1 - momentum)."""

    eps: Annotated[float, Field(gt=0, le=0.1)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1


class ModelSpec(Row):
    """A network that `models.build` turns into a module.

    The kind of its stem and its tokens decide whose parameter names the module has: a ``conv`` stem gives timm's MobileNets
    (``blocks.<stage>.<row>``), the other stems timm's RepVGG, MobileOne and RepViT (``stages.<stage>.<row>``), tokens give those
    of Mobile-Former's authors (``features.<row>``).
    """

    format_version: Literal[1] = FORMAT_VERSION
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
    """Names files that are made of it."""
    stem: StemSpec
    stages: Annotated[tuple[Stage, ...], Field(max_length=MAX_STAGES)]
    head: HeadSpec = ConvHeadSpec()
    act: Activation = "relu"
    norm: NormSpec = NormSpec()
    layer_scale_init: Annotated[float, Field(gt=0, le=1)] | None = None
    """Initial value of the per-channel scale on every UIB and attention block; None = no layer scale."""
    padding: Literal["symmetric", "same"] = "symmetric"
    """``same``: TensorFlow's, which pads behind before it pads in front; for weights that were trained there."""
    downsample: Literal["stride", "avg", "blur"] = "stride"
    """How the blocks halve a map: by their strided convolution, or by pooling (2x2 mean, 3x3 binomial) behind it at stride 1."""
    tokens: TokensSpec | None = None
    """Mobile-Former's tokens, for rows that read and write them; past all others they go unchanged."""
    in_chans: Annotated[int, Field(ge=1, le=1024)] = 3
    num_classes: Annotated[int, Field(ge=0, le=10_000_000)] = 1000
    """0 = no classifier: the model returns pooled features."""
    img_size: Annotated[int, Field(ge=1, le=8192)] = 224
    """The side in pixels that the model was designed for."""

    @model_validator(mode="after")
    def _rows_fit_together(self) -> ModelSpec:
        problems = check_rows(self)
        if problems:
            more = f"; … ({len(problems)} in all)" if len(problems) > 5 else ""
            raise SpecError(f"{'; '.join(problems[:5])}{more}")
        return self
