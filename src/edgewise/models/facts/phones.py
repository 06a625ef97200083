"""Latencies of models on phones, as published beside their accuracy: MobileNetV4 (arXiv 2404.10518v2), Table 6.

Batch 1; CPU, Hexagon and EdgeTPU run int8 TFLite, the GPUs fp16 TFLite, the Apple Neural Engine fp16 Core ML. The accuracies are
the table's own: V1 to V3 were retrained there with a modern recipe.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from edgewise.errors import unknown_name

SOURCE = "MobileNetV4 (arXiv 2404.10518v2), Table 6"
PRECISIONS = {
    "pixel6_cpu": "int8",
    "s23_cpu": "int8",
    "pixel4_hexagon": "int8",
    "pixel7_gpu": "fp16",
    "s23_gpu": "fp16",
    "iphone13_coreml": "fp16",
    "pixel8_edgetpu": "int8",
}
"""The devices of the table, with the precision of its files there."""


@dataclass(frozen=True, slots=True)
class PhoneLatency:
    """One model on one device.

    Attributes:
        model: as the table calls it.
        top1: ImageNet-1k, a fraction.
        latency_ms: the median of five means of about 1,000 runs.
    """

    model: str
    top1: float
    latency_ms: float


def on_device(name: str) -> list[PhoneLatency]:
    """Return the models that the table has a latency of on device ``name``.

    Raises:
        UnknownNameError: no such device; those that there are are listed.
    """
    if name not in PRECISIONS:
        raise unknown_name("device", name, PRECISIONS)
    return [
        PhoneLatency(row["model"], float(row["top1_percent"]) / 100, float(row[name])) for row in _rows() if row[name]
    ]


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], ...]:
    with resources.files(__package__).joinpath("phones.csv").open(encoding="utf-8") as file:
        return tuple(csv.DictReader(file))
