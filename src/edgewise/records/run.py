"""The whole of a run joined for its report."""

from __future__ import annotations

from typing import Literal

from edgewise.records.artifact import Artifact
from edgewise.records.cost import CostReport
from edgewise.records.data import DataSummary
from edgewise.records.environment import Environment
from edgewise.records.measurement import Measurement
from edgewise.records.record import Record
from edgewise.records.training import EvalRecord, InitialWeights, TrainRecord


class Candidate(Record):
    """One model that `fit` looked at."""

    name: str
    img_size: int
    published_top1: float | None
    """Absent where nobody published one: such a model is only taken when it was asked for."""
    macs: int | None
    """At the size that the counts are published for; absent at another `img_size`, and for a network from a spec file."""
    params: int | None
    latency_ms: float | None
    """Absent when it was not measured; `note` then says why."""
    verdict: str
    chosen: bool
    note: str = ""


class Choice(Record):
    """How `fit` came to its model."""

    max_ms: float | None
    runtime: str
    threads: int
    candidates: tuple[Candidate, ...]
    reason: str


class FileResult(Record):
    """One row of the report's file table: a file with its precision, accuracy, size and latency."""

    name: str
    artifact: Artifact | None
    """Absent for the torch model itself."""
    top1: float | None
    agreement: float | None
    """Share of validation images on which its top-1 equals the torch model's."""
    measurement: Measurement | None


class SamplePrediction(Record):
    """One validation picture and the model's answer."""

    image_png_base64: str
    truth: str
    top: tuple[tuple[str, float], ...]
    """Labels with probabilities, most likely first."""


class Job(Record):
    """What a run was asked to do; with `config.yaml` it is all that a resumed run needs."""

    kind: Literal["train", "fit", "quickstart"]
    data: str
    """Absolute path of the data set, or ``digits`` for scikit-learn's."""
    val_share: float
    split_seed: int
    command: str
    created_at: str
    choice: Choice | None = None
    initial_weights: InitialWeights | None = None
    """Absent where training starts from fresh ones."""
    runtime: str = "onnxruntime"
    formats: tuple[str, ...] = ("onnx",)
    """Of the files to deploy; the first must succeed."""
    threads: int = 1
    max_drop: float = 0.01
    """Accepted fall of an int8 file's top-1, as a fraction."""


class RunRecord(Record):
    """Everything that a run's report shows."""

    name: str
    model: str
    task: str = "classification"
    created_at: str
    command: str
    config: dict[str, object]
    data: DataSummary
    choice: Choice | None = None
    initial_weights: InitialWeights | None = None
    """Absent where training started from fresh ones."""
    cost: CostReport | None = None
    training: TrainRecord | None = None
    evaluation: EvalRecord | None = None
    files: tuple[FileResult, ...] = ()
    samples: tuple[SamplePrediction, ...] = ()
    environment: Environment
