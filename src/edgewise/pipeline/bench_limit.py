"""Beside each latency of a bench: how near it comes to this machine's limit, where the machine was measured."""

from __future__ import annotations

import math
import statistics
from functools import cached_property

from torch import nn

from edgewise.bench.case import Case
from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.device_files import this_cpu
from edgewise.cost.limit import Work, machine_limit
from edgewise.cost.onnx_work import onnx_work
from edgewise.cost.precision import find_precision
from edgewise.errors import EdgewiseError, InputError
from edgewise.models.catalogue import CATALOGUE
from edgewise.records.artifact import Artifact
from edgewise.records.device import DeviceProfile
from edgewise.records.limit import Limit
from edgewise.records.measurement import Measurement

FLOAT_BYTES = 4


class Counts:
    """What models cost as they are deployed, (parameters, MACs) of one image; counted once each, and only where they are needed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int] | None] = {}

    def remember(self, what: str, model: nn.Module, img_size: int) -> None:
        """Count a model that was loaded for ``what``; one that cannot be counted has no count.

        A model of the catalogue at its own size is not counted again.
        """
        entry = CATALOGUE.get(what)
        if entry is not None and entry.img_size == img_size:
            self._known[what] = entry.params_fused, entry.macs_fused
            return
        try:
            report = count(fuse(model), img_size)
        except EdgewiseError:
            self._known[what] = None
            return
        self._known[what] = (report.params, report.macs) if report.complete else None

    def get(self, what: str) -> tuple[int, int] | None:
        """Return the parameters and MACs of what was remembered; None where they are unknown."""
        return self._known.get(what)


class Limits:
    """This machine's limits, as far as they were measured."""

    @cached_property
    def device(self) -> DeviceProfile | None:
        """Return this machine's profile; None where it has none that can be used."""
        try:
            return this_cpu()
        except InputError:
            return None

    def limit(self, case: Case, measured: Measurement, work: Work | None) -> Limit | None:
        """Return the limit for one case and how near its latency comes to it; None where anything that this needs is unknown.

        Args:
            case: as it was measured.
            measured: what came out.
            work: of one call; of a bare ONNX file it is read from the file.
        """
        if self.device is None or not measured.usable:
            return None
        if work is None and case.format == "onnx":
            work = onnx_work(case.path, measured.input_shape)
        if work is None:
            return None
        speed = measured.speed
        return machine_limit(
            work,
            self.device,
            latency_ms=measured.latency_ms,
            precision=work.precision or multiplies_in(measured),
            threads=measured.threads,
            reference=None if speed is None else (speed.kernel, statistics.median(speed.times_ms)),
        )


def work_of(counts: tuple[int, int], artifact: Artifact, batch: int) -> Work | None:
    """Return the work of one call of an exported file whose model has these (parameters, MACs); None for a size left open."""
    sizes = artifact.input.shape[1:]
    if not all(isinstance(size, int) for size in sizes):
        return None
    params, macs = counts
    moved = math.prod(int(size) for size in sizes) + artifact.num_classes
    return Work(
        macs=batch * macs,
        # biases stay wider and are counted as if they did not: the limit stays one
        weight_bytes=params * find_precision(artifact.precision).weight_bytes,
        io_bytes=batch * FLOAT_BYTES * moved,
    )


def multiplies_in(measured: Measurement) -> str:
    """Return the precision that a file multiplies in: its own, or fp32 where OpenVINO says that all of it runs in float32."""
    in_float = measured.runtime == "openvino" and set(measured.placement or ()) == {"f32"}
    return "fp32" if in_float and measured.precision in ("bf16", "fp16") else measured.precision
