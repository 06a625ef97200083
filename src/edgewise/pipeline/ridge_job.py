"""`ridge`: models' costs against the ridge point of the device, and which of them stay on the Pareto front where."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgewise.cost.precision import find_precision
from edgewise.cost.ridge import OP_CLASSES, RidgeCurve, pareto_members, ridge_curve, sweep
from edgewise.errors import ConfigError, MissingExtraError, OutputError, shown
from edgewise.models.catalogue import CATALOGUE
from edgewise.models.facts import phones
from edgewise.models.facts.peers import PEERS
from edgewise.models.resolve import resolve
from edgewise.pipeline.bench_ways import named
from edgewise.pipeline.counted import count_deployed
from edgewise.pipeline.listener import JobListener
from edgewise.records.files import write_atomically
from edgewise.report.figure_files import save_png
from edgewise.report.ridge_chart import draw_classes, draw_fronts
from edgewise.train.run_folder import new_run_folder

MAX_RIDGE_POINT = 1e5
NUM_DRAWN = 4
"""Models whose cost by class of operator is drawn."""


@dataclass(frozen=True, kw_only=True)
class RidgeRequest:
    """What is swept."""

    what: tuple[str, ...] = ()
    """Models by name or pattern; nothing for the whole catalogue."""
    low: float = 0.0
    high: float = 500.0
    precision: str = "int8"
    peers: bool = False
    """Whether the models of the paper's table join that are not in the catalogue; timm builds them."""

    def check(self) -> None:
        """Refuse what cannot be swept.

        Raises:
            ConfigError: the ends of the sweep are out of range or out of order.
            UnknownNameError: no such precision.
        """
        if not 0 <= self.low < self.high <= MAX_RIDGE_POINT:
            raise ConfigError(
                f"sweep is {self.low:g}:{self.high:g}; accepted: LOW:HIGH in MACs per byte, 0 <= LOW < HIGH <= {MAX_RIDGE_POINT:g}"
            )
        find_precision(self.precision)


@dataclass(frozen=True, kw_only=True)
class RidgeSweep:
    """What came out."""

    ridge_points: NDArray[np.float64]
    curves: tuple[RidgeCurve, ...]
    members: NDArray[np.bool_]
    """Which curve (row) is on the Pareto front at which ridge point (column)."""
    left_out: dict[str, str]
    """Models that could not be counted, with the reason."""
    folder: Path

    def always(self) -> list[str]:
        """Return the models that are on the front at every ridge point."""
        return [curve.model for curve, row in zip(self.curves, self.members, strict=True) if row.all()]

    def share(self, number: int) -> float:
        """Return the share of the swept ridge points at which curve ``number`` is on the front."""
        return float(self.members[number].mean())


def parse_sweep(text: str) -> tuple[float, float]:
    """Return the ends of a sweep written as ``LOW:HIGH``.

    Raises:
        ConfigError: it is written otherwise.
    """
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        raise ConfigError(f"sweep is {shown(text)}; accepted: LOW:HIGH in MACs per byte, as in 0:500") from None
    return low, high


def ridge_sweep(request: RidgeRequest, out_dir: Path | None, listener: JobListener) -> RidgeSweep:
    """Count the models and write ``ridge_fronts.png``, ``ridge_classes.png`` and ``ridge.csv``.

    Accuracies are those of the catalogue: published, on ImageNet, each model's best weights here; peers have the paper's.

    Args:
        request: what to sweep.
        out_dir: where to; ``runs/ridge``, numbered, by default.
        listener: hears of it.

    Raises:
        ConfigError: the sweep is out of range.
        UnknownNameError: no such model or precision.
        InputError: a named model cannot be counted.
        OutputError: ``out_dir`` cannot be written.
    """
    request.check()
    points = sweep(request.low, request.high)
    names = named(request.what, all_=not request.what)
    peers = {name: peer for name, peer in PEERS.items() if request.peers and peer.source.startswith("timm:")}
    listener.on_stage(f"Counting {len(names) + len(peers)} models")
    curves, left_out = [], {}
    for number, name in enumerate(names):
        listener.on_progress(number, len(names) + len(peers))
        entry = CATALOGUE.get(name)
        report = count_deployed(resolve(name), dtype=request.precision)
        if not report.complete:
            left_out[name] = f"operators that no rule counts: {', '.join(report.unknown)}"
            continue
        curves.append(ridge_curve(name, entry.top1 if entry else None, report, points))
    published = {each.model: each.top1 for each in _published()}
    for number, (name, peer) in enumerate(peers.items(), start=len(names)):
        listener.on_progress(number, len(names) + len(peers))
        try:
            report = count_deployed(resolve(peer.source), img_size=peer.img_size, dtype=request.precision)
        except MissingExtraError as error:
            left_out[name] = str(error)
            continue
        curves.append(ridge_curve(name, published[name], report, points))
    listener.on_progress(len(names) + len(peers), len(names) + len(peers))
    members = pareto_members(curves)
    folder = out_dir if out_dir is not None else new_run_folder(Path("runs"), "ridge").path
    found = RidgeSweep(ridge_points=points, curves=tuple(curves), members=members, left_out=left_out, folder=folder)
    _write(found, request.precision)
    return found


def _published() -> list[phones.PhoneLatency]:
    return [each for device in phones.PRECISIONS for each in phones.on_device(device)]


def _write(found: RidgeSweep, precision: str) -> None:
    drawn = _most_telling(found)
    try:
        found.folder.mkdir(parents=True, exist_ok=True)
        save_png(
            draw_fronts(found.ridge_points, found.curves, found.members, precision), found.folder / "ridge_fronts.png"
        )
        save_png(draw_classes(found.ridge_points, drawn, precision), found.folder / "ridge_classes.png")
        write_atomically(found.folder / "ridge.csv", _table(found).encode())
    except OSError as error:
        raise OutputError(f"{shown(found.folder)} cannot be written: {error.strerror}") from error


def _most_telling(found: RidgeSweep) -> Sequence[RidgeCurve]:
    """Return a few models that are longest on the front, spread over the accuracies there."""
    ranked = sorted(range(len(found.curves)), key=lambda number: -found.share(number))
    longest = [found.curves[number] for number in ranked if found.members[number].any()][: 3 * NUM_DRAWN]
    by_top1 = sorted(longest or found.curves[:NUM_DRAWN], key=lambda curve: curve.top1 or 0.0)
    step = max(1, len(by_top1) // NUM_DRAWN)
    return by_top1[::step][:NUM_DRAWN]


def _table(found: RidgeSweep) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["model", "top1", "ridge_point", "cost_macs", *(f"{each}_macs" for each in OP_CLASSES), "front"])
    for curve, row in zip(found.curves, found.members, strict=True):
        for at, point in enumerate(found.ridge_points):
            classes = (f"{curve.by_class[each][at]:.6g}" for each in OP_CLASSES)
            top1 = "" if curve.top1 is None else f"{curve.top1:.4f}"
            writer.writerow([curve.model, top1, f"{point:.4g}", f"{curve.total[at]:.6g}", *classes, int(row[at])])
    return text.getvalue()
