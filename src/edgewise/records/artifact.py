"""An exported file, what it expects, and the proof that it answers like its model."""

from __future__ import annotations

from typing import Literal

from edgewise.records.environment import Environment
from edgewise.records.record import Record

Interpolation = Literal["bilinear", "bicubic"]


class Preprocessing(Record):
    """How an image becomes the network's input; travels with weights and inside exported files.

    Resize the shorter side to ``round(img_size / crop_pct)`` (antialiased), centre-crop ``img_size`` x ``img_size``,
    scale to 0-1, subtract `mean`, divide by `std`; channels are RGB, layout (N, C, H, W).
    """

    img_size: int
    crop_pct: float = 0.875
    interpolation: Interpolation = "bicubic"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @classmethod
    def for_chans(cls, in_chans: int, img_size: int) -> Preprocessing:
        """Return the usual preparation of images with ``in_chans`` channels: ImageNet's for RGB, -1 to 1 for others."""
        if in_chans == 3:
            return cls(img_size=img_size)
        return cls(img_size=img_size, mean=(0.5,) * in_chans, std=(0.5,) * in_chans)


class InputSpec(Record):
    """The input that an exported file takes."""

    name: str
    shape: tuple[int | str, ...]
    """(N, C, H, W); a string is a dynamic size."""
    dtype: str = "float32"


class InputCheck(Record):
    """The comparison on one kind of input."""

    name: str
    """``real``, ``zeros``, ``ones``, ``saturated`` or ``noise``."""
    num_inputs: int
    max_abs_diff: float
    max_abs_logit: float
    top1_agreement: float


class VerificationRecord(Record):
    """The comparison of a reloaded file with the model that it was made from."""

    runtime: str
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
    reason: str = ""
    """Why it failed; empty when it passed."""


class Artifact(Record):
    """An exported file and everything needed to use it."""

    format: str
    precision: str
    """``fp32`` or ``int8``"""
    files: tuple[str, ...]
    """Names beside `artifact.json`; the first is the one to open."""
    file_bytes: int
    sha256: str
    """Of the first file."""
    model: str
    input: InputSpec
    num_classes: int
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    source_sha256: str
    """Of the weights that it was made from."""
    verification: VerificationRecord | None
    environment: Environment
