"""An exported file, what it expects, and the proof that it answers like its model."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from edgewise.records.environment import Environment
from edgewise.records.paired import PairedTop1
from edgewise.records.record import Record

Interpolation = Literal["bilinear", "bicubic"]
Layout = Literal["nchw", "nhwc"]
"""Order of an input's axes: (N, C, H, W) or (N, H, W, C)."""
Values = Literal["normalised", "0-255"]
Output = Literal["logits", "probabilities"]


class Preprocessing(Record):
    """How an image becomes the network's input; travels with weights and inside exported files.

    Resize the shorter side to ``floor(img_size / crop_pct)`` (antialiased; the other side in proportion, cut down to a
    whole pixel), centre-crop ``img_size`` x ``img_size``, scale to 0-1, subtract `mean`, divide by `std`; channels are
    RGB, layout (N, C, H, W). These are timm's rules, to the pixel.
    """

    img_size: Annotated[int, Field(ge=1)]
    crop_pct: Annotated[float, Field(gt=0, le=1)] = 0.875
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def resize_side(self) -> int:
        """Return what the shorter side becomes before the centre is cut out, in pixels."""
        return math.floor(self.img_size / self.crop_pct)

    @classmethod
    def for_chans(cls, in_chans: int, img_size: int) -> Preprocessing:
        """Return the usual preparation of images with ``in_chans`` channels: ImageNet's for RGB, -1 to 1 for others."""
        if in_chans == 3:
            return cls(img_size=img_size)
        return cls(img_size=img_size, mean=(0.5,) * in_chans, std=(0.5,) * in_chans)

    def with_chans(self, in_chans: int) -> Preprocessing:
        """Return the same for weights whose first convolution was adapted to ``in_chans`` channels.

        As the weights are: one channel stands for all and takes their average, more repeat them in turn.
        """
        if in_chans == len(self.mean):
            return self

        def adapted(values: tuple[float, ...]) -> tuple[float, ...]:
            if in_chans == 1:
                return (sum(values) / len(values),)
            return tuple(values[index % len(values)] for index in range(in_chans))

        return self.model_copy(update={"mean": adapted(self.mean), "std": adapted(self.std)})


class InputSpec(Record):
    """The input that an exported file takes."""

    name: str
    shape: tuple[int | str, ...]
    """In the order of `layout`; a string is a dynamic size."""
    dtype: str = "float32"
    layout: Layout = "nchw"
    values: Values = "normalised"
    """What one value is: ``0-255`` is a pixel as it stands in a picture, where the file normalises by itself."""


class InputCheck(Record):
    """The comparison on one kind of input."""

    name: str
    """``real``, ``zeros``, ``ones``, ``saturated``, ``far``, ``noise``, ``pixel`` or ``picture``."""
    num_inputs: int
    max_abs_diff: float
    max_abs_logit: float
    top1_agreement: float


class VerificationRecord(Record):
    """The comparison of a reloaded file with the model that it was made from."""

    runtime: str
    kind: Literal["answers", "structure"] = "answers"
    """``structure``: the runtime does not exist for this platform; inputs, outputs and weights were compared, and, where there are
    checks, the file's operators as torch computes them."""
    passed: bool
    tolerance: float
    """Accepted `max_abs_diff` as a share of the largest absolute logit; 0 where top-1 decides (int8)."""
    checks: tuple[InputCheck, ...]
    batch_sizes: tuple[int, ...]
    top1_model: float | None = None
    """Of the model on labelled images; absent without labels."""
    top1_file: float | None = None
    max_drop: float | None = None
    """Accepted fall of top-1, as a fraction; absent where logits decide."""
    paired: PairedTop1 | None = None
    """The two top-1 image by image; absent without labels."""
    reason: str = ""
    """Why it failed; empty when it passed."""
    forced: bool = False
    """Kept on demand although its top-1 falls too far; such a file is never recommended."""

    @property
    def fell_too_far(self) -> bool:
        """Return whether the fall of top-1 is all that it failed for."""
        return self.paired is not None and self.max_drop is not None and not self.paired.within(self.max_drop)

    @property
    def relative_diff(self) -> float | None:
        """Return the largest difference of all inputs, as a share of the largest logit of its kind; None where none was compared."""
        return max((each.max_abs_diff / max(each.max_abs_logit, 1e-12) for each in self.checks), default=None)


class LayerPrecision(Record):
    """One layer of a file in mixed precision."""

    name: str
    """As its weights are called in the model, where the format keeps that name."""
    sqnr_db: float
    """Signal-to-noise ratio of the logits with this layer alone in int8, in dB; the lower, the more sensitive it is."""
    in_float: bool = False
    """Whether it stayed in float."""


class Artifact(Record):
    """An exported file and everything needed to use it."""

    format: str
    precision: str
    """As in ``fp32`` or ``int8``."""
    files: tuple[str, ...]
    """Names beside `artifact.json`; the first is the one to open."""
    file_bytes: int
    sha256: str
    """Of the file; of several, or of a folder, that of their names and sha256 in turn."""
    model: str
    input: InputSpec
    num_classes: int
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    """What is to be done before the file. Where it normalises by itself, `mean` is 0 and `std` is 1/255: pixels stay what they are."""
    output: Output = "logits"
    """What the file gives for each class; probabilities are the softmax of the logits, 0 to 1."""
    transposes: int | None = None
    """Operators left in the file that do nothing but reorder axes; None where nobody counted."""
    source_sha256: str
    """Of the weights that it was made from."""
    weights_file_sha256: str | None = None
    """Of the file that those weights were loaded from, or that their training started from; absent where there was none."""
    weights_source: str | None = None
    """What that file is called: a hub id, or a name without folders."""
    verification: VerificationRecord | None
    layers: tuple[LayerPrecision, ...] = ()
    """Of a file in mixed precision, most sensitive first; empty where all layers have the file's precision."""
    environment: Environment
