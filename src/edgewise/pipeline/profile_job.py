"""`profile`: a model under a device's roof, kernel by kernel, with its chart."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgewise.cost.device_files import THIS_CPU, find_device
from edgewise.cost.roofline import roofline
from edgewise.errors import ConfigError, InputError, OutputError, shown
from edgewise.models.resolve import resolve
from edgewise.pipeline.counted import count_deployed
from edgewise.records.bench import BenchCase
from edgewise.records.device import DeviceProfile
from edgewise.records.files import write_atomically
from edgewise.records.measurement import Measurement
from edgewise.records.roofline import Roofline
from edgewise.report.figure_files import save_png
from edgewise.report.roofline_chart import draw_roofline
from edgewise.train.run_folder import new_run_folder

COLUMNS = ("module", "kind", "out_shape", "macs", "bytes", "macs_per_byte", "time_ms", "share", "bound")


@dataclass(frozen=True, kw_only=True)
class ProfileRequest:
    """Which model on which device."""

    model: str
    """What `models.resolve` takes."""
    device: str = THIS_CPU
    """A name of `edgewise device list`, ``this-cpu``, or a device file."""
    precision: str = "fp32"
    threads: int | None = None
    """Of the figures of a measured profile; one by default."""
    img_size: int | None = None
    batch: int = 1
    overhead_us: float = 0.0
    """Fixed cost of a kernel in µs, where it is known."""
    stated: bool = False
    """The data sheet's figures even where there are fitted ones."""
    measured: str | None = None
    """A latency in ms, or the record of a bench's case."""

    def check(self) -> None:
        """Refuse numbers out of range.

        Raises:
            ConfigError: one is.
        """
        if self.batch < 1:
            raise ConfigError(f"batch is {self.batch}; must be 1 or more")
        if not 0 <= self.overhead_us < 1e6:
            raise ConfigError(f"overhead_us is {self.overhead_us:g}; must be within 0 and 1,000,000 µs a kernel")


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """What came out."""

    found: Roofline
    unknown: tuple[str, ...]
    """Operators that no rule counts; the times lack them."""
    folder: Path


def profile_model(request: ProfileRequest, out_dir: Path | None = None) -> Profiled:
    """Write ``roofline.png``, ``kernels.csv`` and ``roofline.json`` and return what they show.

    Args:
        request: what to look at.
        out_dir: where to; ``runs/profile``, numbered, by default.

    Raises:
        UnknownNameError: no such model, device or precision.
        ConfigError: a number is out of range, or the device has no figures for the precision.
        InputError: this machine was not measured, or the record cannot be read.
        OutputError: ``out_dir`` cannot be written.
    """
    request.check()
    device = find_device(request.device)
    measured_ms = _measured_ms(request.measured)
    report = count_deployed(
        resolve(request.model), img_size=request.img_size, batch=request.batch, dtype=request.precision
    )
    found = roofline(
        report,
        device,
        threads=request.threads or (1 if device.environment is not None else None),
        overhead_us=request.overhead_us,
        stated=request.stated,
        measured_ms=measured_ms,
    )
    folder = out_dir if out_dir is not None else new_run_folder(Path("runs"), "profile").path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_png(draw_roofline(found, _rooves(device, found)), folder / "roofline.png")
        write_atomically(folder / "kernels.csv", _table(found).encode())
        found.save(folder / "roofline.json")
    except OSError as error:
        raise OutputError(f"{shown(folder)} cannot be written: {error.strerror}") from error
    return Profiled(found=found, unknown=report.unknown, folder=folder)


def _measured_ms(given: str | None) -> float | None:
    """Return the latency that a person gave, as a number or as a record."""
    if given is None:
        return None
    try:
        latency_ms = float(given)
    except ValueError:
        latency_ms = _recorded_ms(Path(given))
    if not 0 < latency_ms < 1e7:
        raise ConfigError(
            f"measured is {shown(given)}; accepted: a latency in ms above 0, or a record of a bench's case"
        )
    return latency_ms


def _recorded_ms(path: Path) -> float:
    try:
        content = json.loads(path.read_bytes())
        case = BenchCase.model_validate(content) if "measurement" in content else None
        measurement = case.measurement if case is not None else Measurement.model_validate(content)
    except OSError as error:
        raise InputError(
            f"{shown(path)} is neither a latency in ms nor a record that can be read: {error.strerror}"
        ) from error
    except (ValueError, TypeError, ValidationError) as error:
        raise InputError(
            f"{shown(path)} is no record of a bench's case, as runs/bench/cases/0001….json is one"
        ) from error
    if measurement is None:
        raise InputError(f"{shown(path)} is the record of a case that was left out: {case.left_out if case else ''}")
    return measurement.latency_ms


def _rooves(device: DeviceProfile, found: Roofline) -> dict[str, float]:
    """Return the bandwidths to draw, by the memory level's name."""
    if found.basis != "measured":
        return {"DRAM": found.bytes_per_s}
    return {
        level: row.bytes_per_s
        for level in ("L1", "L2", "L3", "DRAM")
        if (row := device.bandwidth(level, found.threads)) is not None
    }


def _table(found: Roofline) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in found.kernels:
        shape = " x ".join(map(str, each.out_shape))
        numbers = (f"{each.intensity:.4g}", f"{each.time_ms:.6g}", f"{each.share:.4g}")
        writer.writerow([each.module, each.kind, shape, each.macs, each.bytes_moved, *numbers, each.bound])
    return text.getvalue()
