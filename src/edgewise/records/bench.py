"""A bench that survives: what was asked for, and one record for each case that is done."""

from __future__ import annotations

from typing import Literal

from edgewise.records.limit import Limit
from edgewise.records.measurement import Measurement
from edgewise.records.record import Record

LAUNCHES = 6
"""Fresh processes that a case is measured in, one after the other, unless someone says otherwise."""


class BenchRequest(Record):
    """What is measured, and in what ways; with the records of its cases it is all that a resumed bench needs."""

    what: tuple[str, ...]
    """Models by name, spec files, ``timm:NAME``, runs and exported files."""
    runtimes: tuple[str, ...] = ()
    """Where models and runs are exported for, ``all`` = those that are here; files run where their format does. Empty: ONNX Runtime."""
    precisions: tuple[str, ...] = ("fp32",)
    """``all`` = those that each format has."""
    threads: tuple[int, ...] = (1,)
    """Of one call; every count is measured."""
    batch: int = 1
    """Images a call."""
    img_size: int | None = None
    """Side in pixels for models; the model's own by default."""
    data: str | None = None
    """Real images, which int8 needs; of a run, its own by default."""
    max_ms: float | None = None
    """Leave out what takes longer than this many ms."""
    launches: int = LAUNCHES
    """Fresh processes of each case."""


class Accuracy(Record):
    """What is known of a file's accuracy."""

    top1: float
    """A fraction, 0-1."""
    source: Literal["published", "validation", "labelled"]
    """``published`` on ImageNet, by the model's authors; ``validation`` of the run; ``labelled``: this very file's answers."""
    of_this_file: bool
    """Whether the number belongs to this precision; else it is that of the float32 model."""
    max_drop: float | None = None
    """Accepted fall for a reduced precision, as a fraction."""
    drop: float | None = None
    """Fall against the float32 model on the same images, as a fraction."""


class BenchCase(Record):
    """One case of a bench: measured, or left out for a reason."""

    what: str
    """As it was asked for."""
    model: str
    """The network's name."""
    runtime: str
    format: str
    precision: str
    threads: int
    accuracy: Accuracy | None = None
    measurement: Measurement | None = None
    limit: Limit | None = None
    """Absent where this machine was not measured, or the file's work or the machine's peak is unknown."""
    left_out: str = ""
    """Why there is no measurement."""
