"""A sweep over ridge points, as a table on the terminal or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.report.formatting import format_count, format_percent

if TYPE_CHECKING:
    from edgewise.pipeline.ridge_job import RidgeSweep

SHOWN = (0.0, 30.0, 500.0)
"""Ridge points that have a column, where they were swept."""


def render_ridge(found: RidgeSweep, *, as_json: bool) -> None:
    """Show the models that are ever on the front, with their cost at a few ridge points and where they are on it."""
    if as_json:
        print_json(
            {
                "ridge_points": found.ridge_points.tolist(),
                "models": [
                    {"name": curve.model, "top1": curve.top1, "cost_macs": curve.total.tolist(), "front": row.tolist()}
                    for curve, row in zip(found.curves, found.members, strict=True)
                ],
                "always": found.always(),
                "left_out": found.left_out,
                "folder": str(found.folder),
            }
        )
        return
    low, high = found.ridge_points[0], found.ridge_points[-1]
    places = {value: int(np.argmin(np.abs(found.ridge_points - value))) for value in SHOWN if low <= value <= high}
    table = new_table(
        "model", "top-1>", *(f"at {value:g}>" for value in places), "on the front>", "from>", "to>", dense=True
    )
    ever = [number for number in range(len(found.curves)) if found.members[number].any()]
    for number in sorted(ever, key=lambda number: found.curves[number].top1 or 0.0):
        curve, row = found.curves[number], found.members[number]
        swept = found.ridge_points[np.flatnonzero(row)]
        table.add_row(
            plain(curve.model),
            format_percent(curve.top1),
            *(format_count(float(curve.total[at])) for at in places.values()),
            format_percent(found.share(number), 0),
            f"{swept[0]:.3g}-{swept[-1]:.3g}",
        )
    out = console()
    out.print(table)
    always = found.always()
    out.print(
        f"on the front from {low:g} to {high:g} MACs per byte: {', '.join(map(plain, always)) or 'none'}",
        soft_wrap=True,
    )
    notes().print(
        "at R: cost in MACs of the device's time where a byte takes as long as R MACs; front: share of the swept ridge points at which no "
        "model is cheaper and as accurate, and between which they lie",
        style="dim",
        soft_wrap=True,
    )
    for name, reason in found.left_out.items():
        notes().print(f"{name} is left out: {reason}", style="yellow", markup=False, soft_wrap=True)
    notes().print(
        f"ridge_fronts.png, ridge_classes.png, ridge.csv in {found.folder}", style="dim", markup=False, soft_wrap=True
    )
